//! The road in figures: each row is the product's rate as a ratio to a baseline that is measured in the same run, with
//! the rounds of both interleaved. Median of [`ROUNDS`]. `just bench` starts the servers that some rows need; a row
//! whose server is missing says so. Arguments choose rows by name.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod fan_out;
mod feeds;
mod growth;
#[cfg(feature = "amqp")]
mod intake;
mod latency;
mod posting;
mod rooms;
mod sending;
mod setting;
mod signing;
mod sink;
mod urgent;

use std::time::Duration;

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of product and baseline each.
const ROUNDS: usize = 5;

/// What one round did: how many, in how long.
pub struct Round {
    pub count: usize,
    pub took: Duration,
}

impl Round {
    fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints a row of the table: medians, and their ratio.
pub fn row(name: &str, unit: &str, mut product: Vec<f64>, mut baseline: Vec<f64>, against: &str) {
    let (ours, theirs) = (median(&mut product), median(&mut baseline));
    println!("| {name} | {ours:.0} {unit} | {theirs:.0} {unit} | {:.2} | {against} |", ours / theirs);
}

/// Prints a row whose goal is a figure: the median, and its part of the goal.
pub fn goal(name: &str, unit: &str, mut product: Vec<f64>, goal: f64) {
    product.sort_by(f64::total_cmp);
    let ours = product[product.len() / 2];
    println!("| {name} | {ours:.0} {unit} | {goal:.0} {unit} | {:.2} | the goal |", ours / goal);
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(port) = number(sink::SINK_PORT) {
        sink::be(port as u16, Duration::from_millis(number(sink::SINK_DELAY_MS).unwrap_or(0)));
    }
    let rounds = number("ALLIM_BENCH_ROUNDS").map_or(ROUNDS, |rounds| rounds as usize);
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|choice| name.contains(choice.as_str()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Ok(what) = std::env::var(growth::PRODUCT) {
        return runtime.block_on(growth::be(&what));
    }
    println!("| work | allim | baseline | ratio | baseline is |\n|---|---|---|---|---|");
    if wanted("fan-out") {
        runtime.block_on(fan_out::run(rounds));
    }
    if wanted("sending") {
        runtime.block_on(sending::run(rounds));
    }
    if wanted("growth") {
        runtime.block_on(growth::run());
    }
    if wanted("urgent") {
        runtime.block_on(urgent::run());
    }
    if wanted("elsewhere") {
        runtime.block_on(sending::elsewhere(rounds));
    }
    if wanted("cpu") {
        runtime.block_on(sending::cpu(rounds));
    }
    if wanted("signing") {
        runtime.block_on(signing::run(rounds));
    }
    if wanted("feeds") {
        runtime.block_on(feeds::run(rounds));
    }
    if wanted("latency") {
        runtime.block_on(latency::run());
    }
    if wanted("posting") {
        runtime.block_on(posting::run(ROUNDS));
    }
    if wanted("rooms") {
        runtime.block_on(rooms::run());
    }
    #[cfg(feature = "amqp")]
    if wanted("intake") {
        runtime.block_on(intake::run(rounds));
    }
}
