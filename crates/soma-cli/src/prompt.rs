//! Questions on the terminal. They are asked on standard error, so that
//! standard output holds the result and nothing else.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use zeroize::Zeroizing;

/// Whether somebody can answer.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What an empty answer, or the end of input, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// Go on.
    Yes,
    /// Stop.
    No,
}

/// Asks a question.
pub(crate) fn confirm(question: &str, empty: Empty) -> bool {
    let choices = if empty == Empty::Yes { "Y/n" } else { "y/N" };
    eprint!("{question} [{choices}] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) => is_yes(&answer, empty),
        Err(_) => false,
    }
}

/// Reads one line that nobody else should see: from a terminal without showing
/// it, else from standard input.
pub(crate) fn secret_line(prompt: &str) -> io::Result<Zeroizing<String>> {
    if has_terminal() {
        eprint!("{prompt}: ");
        io::stderr().flush()?;
        return console::Term::stderr().read_secure_line().map(Zeroizing::new);
    }
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

fn is_yes(answer: &str, empty: Empty) -> bool {
    let answer = answer.trim();
    if answer.is_empty() {
        return empty == Empty::Yes;
    }
    answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
}

#[cfg(test)]
mod tests {
    use super::{Empty, is_yes};

    #[test]
    fn anything_but_y_means_no() {
        assert!(is_yes("y\n", Empty::No) && is_yes("Yes", Empty::No));
        assert!(!is_yes("n", Empty::Yes) && !is_yes("yep", Empty::Yes));
    }

    #[test]
    fn the_question_says_what_an_empty_answer_means() {
        assert!(is_yes("\n", Empty::Yes) && is_yes("", Empty::Yes));
        assert!(!is_yes("\n", Empty::No) && !is_yes("", Empty::No));
    }
}
