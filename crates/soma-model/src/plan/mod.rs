//! The steps of an owner, each with its checks and its transaction.

mod commit;
mod owner;
mod prepared;
mod reveal;
mod settings;
mod update;

pub use self::commit::{CommitPlan, CommitTimes};
pub use self::prepared::Prepared;
pub use self::reveal::{Host, RevealOf, RevealPlan, check_disclosure};
pub use self::settings::{CommissionPlan, DeactivatePlan};
pub use self::update::UpdatePlan;

use crate::{Check, Finding};

/// The highest commission: everything.
const HIGHEST_COMMISSION: u64 = 10_000;
/// Above this a commission is more likely a slip than a wish.
const HIGH_COMMISSION: u64 = 5_000;

/// Judges a commission in basis points.
fn check_commission(rate: u64) -> Option<Finding> {
    let percent = format!("{}.{:02} %", rate / 100, rate % 100);
    if rate > HIGHEST_COMMISSION {
        Some(
            Finding::error(
                Check::Commission,
                format!("a commission of {rate} basis points is {percent}; the most is 10000"),
            )
            .with_remedy("the rate is in basis points: 500 is 5 %")
            .with_failure("ModelCommissionRateTooHigh"),
        )
    } else if rate > HIGH_COMMISSION {
        Some(
            Finding::warning(
                Check::Commission,
                format!("a commission of {rate} basis points is {percent}, more than half"),
            )
            .with_remedy("the rate is in basis points: 500 is 5 %"),
        )
    } else {
        None
    }
}
