//! How much of each post a mail shows so that no mail program clips it: whole, shortened, or a line with a link.

use crate::render::entry::Length;

/// Octets of a mail's HTML. Gmail shows 102 kB and hides the rest behind a link, the one to unsubscribe with it; what is
/// personal comes on top of this.
pub const HTML_LEN_MAX: usize = 100_000;

/// How far an issue is cut: one step more makes one more post shorter, the last one first. The same issue is always cut
/// in the same way, so every repeat of its mail is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    steps: usize,
    posts: usize,
}

impl Cut {
    /// Whether anything is cut.
    pub(super) fn is_some(self) -> bool {
        self.steps > 0
    }

    /// The last thing to go is the list of titles, when nothing but lines follows it.
    pub(super) fn has_contents(self) -> bool {
        self.steps <= 2 * self.posts
    }

    /// How much is shown of the post at `index`, which would have `length`: the first `posts` steps make an excerpt of
    /// each, from the last to the first, the next ones a line.
    pub(super) fn length(self, index: usize, length: Length) -> Length {
        let from_end = self.posts.saturating_sub(index + 1);
        if self.steps > self.posts + from_end {
            Length::Line
        } else if self.steps > from_end {
            Length::Excerpt
        } else {
            length
        }
    }
}

/// Renders an issue with as little cut as its HTML may be long. One that is too long even as a list of links is sent so: a
/// clipped mail is better than a lost post.
pub(super) fn fit<T, E>(posts: usize, render: impl Fn(Cut) -> Result<T, E>, len: impl Fn(&T) -> usize) -> Result<T, E> {
    let mut made = render(Cut { steps: 0, posts })?;
    if len(&made) <= HTML_LEN_MAX {
        return Ok(made);
    }
    let (mut low, mut high) = (1, 2 * posts + 1);
    made = render(Cut { steps: high, posts })?;
    while low < high {
        let middle = low.midpoint(high);
        let tried = render(Cut { steps: middle, posts })?;
        if len(&tried) <= HTML_LEN_MAX {
            (made, high) = (tried, middle);
        } else {
            low = middle + 1;
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_posts_give_way_first_and_as_few_as_possible() {
        let shown = |steps| [0, 1, 2].map(|index| Cut { steps, posts: 3 }.length(index, Length::Moderate));
        use Length::{Excerpt, Line, Moderate};
        assert_eq!(shown(0), [Moderate, Moderate, Moderate]);
        assert_eq!(shown(1), [Moderate, Moderate, Excerpt]);
        assert_eq!(shown(3), [Excerpt, Excerpt, Excerpt]);
        assert_eq!(shown(5), [Excerpt, Line, Line]);
        assert_eq!(shown(7), [Line, Line, Line]);
        for wanted in 0..=7 {
            let size = |cut: Cut| HTML_LEN_MAX + wanted - cut.steps;
            let made = fit::<_, ()>(3, |cut| Ok((cut, size(cut))), |(_, size)| *size).unwrap();
            assert_eq!((made.0.steps, made.1), (wanted, HTML_LEN_MAX));
        }
        let never = fit::<_, ()>(3, Ok, |_| HTML_LEN_MAX + 1).unwrap();
        assert_eq!(never.steps, 7, "what never fits is sent at its shortest");
    }
}
