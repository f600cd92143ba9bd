//! # allim (알림, "notice")
//! A daemon that turns "we published a post" into the right mail in each subscriber's inbox at the right hour and an
//! entry in every feed. Once each, and never lost.
//!
//! The modules in the order in which a post travels: [`intake`] → [`plan`] → [`render`] → [`send`] → [`settle`], on a
//! pure [`domain`], beside one [`store`] and a [`guard`] of the way to strangers, under one [`app`].

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod guard;
pub mod intake;
pub mod plan;
pub mod render;
pub mod send;
pub mod settle;
pub mod store;
pub mod web;
