//! Carrying on what is under way, all of it at the same time.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use soma_proto::ObjectId;
use tokio::sync::watch;

use super::keeper::{Keeper, Mode, Passed};
use super::pulse::Pulse;
use super::{Event, Shared, Watch};
use crate::network::now_ms;
use crate::{Error, Result, RevealOf, RevealWindow, Stage, State, StateFile};

/// What became of what was under way for a model.
#[derive(Debug)]
#[non_exhaustive]
pub struct Carried {
    /// The state file.
    pub path: PathBuf,
    /// The model, if the file can be read.
    pub model_id: Option<ObjectId>,
    /// The epoch of the reveal; nothing if nothing was under way.
    pub outcome: Result<Option<u64>>,
}

impl Watch {
    /// Carries on everything that is under way, and ends when nothing is left
    /// to be done: settles commits that were signed, or signs them anew, waits
    /// for windows, reveals. All models at the same time, and one that fails or
    /// waits holds up no other; where an order is needed, the nearest window
    /// comes first. `tell` hears of everything that changes, `ended` of every
    /// model as soon as nothing more is done for it.
    ///
    /// What may pass is tried again as long as the window is open. A file that
    /// cannot be read is a failure like others. Gives them all, in the order
    /// in which they ended. The future stays on its thread.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read.
    pub async fn resume(
        &self,
        mut tell: impl FnMut(Event),
        mut ended: impl FnMut(&Carried),
    ) -> Result<Vec<Carried>> {
        let mut paths: Vec<PathBuf> = self.paths()?.into_iter().collect();
        paths.sort_by_cached_key(|path| {
            StateFile::peek(path).map_or((0, false), |state| urgency(&state))
        });
        let (shared, mut told) = Shared::new(self);
        let (beat, pulse) = watch::channel(Arc::new(Pulse::default()));
        let mut heart = pin!(self.heart(&beat, &shared));
        let mut work = FuturesUnordered::new();
        for path in paths {
            let keeper = Keeper::new(self, &shared, pulse.clone(), path, Mode::Resume);
            work.push(keeper.carry_on().boxed_local());
        }
        let mut all = Vec::new();
        loop {
            tokio::select! {
                () = &mut heart => {}
                Some(event) = told.recv() => tell(event),
                carried = work.next() => {
                    while let Ok(event) = told.try_recv() {
                        tell(event);
                    }
                    let Some(carried) = carried else { return Ok(all) };
                    ended(&carried);
                    all.push(carried);
                }
            }
        }
    }
}

/// The nearest window first; of two, the one with a stake in it.
fn urgency(state: &State) -> (u64, bool) {
    let (of, round) = state.current();
    let epoch = round.commit.as_ref().and_then(|commit| commit.epoch);
    (epoch.unwrap_or_default(), of == RevealOf::Update)
}

impl Keeper<'_> {
    /// Does for the model what is to be done, until nothing is.
    async fn carry_on(mut self) -> Carried {
        let mut model_id = None;
        let outcome = self.finish(&mut model_id).await;
        Carried { path: self.path, model_id, outcome }
    }

    async fn finish(&mut self, model_id: &mut Option<ObjectId>) -> Result<Option<u64>> {
        let mut begun = false;
        loop {
            let state = StateFile::peek(&self.path)?;
            *model_id = Some(state.model_id);
            let round = state.current().1;
            match round.stage() {
                Stage::Revealed if begun => {
                    return Ok(round.reveal.as_ref().and_then(|reveal| reveal.epoch));
                }
                Stage::Unsealed | Stage::Prepared | Stage::Revealed => return Ok(None),
                _ => begun = true,
            }
            let passed = self.pass().await;
            if let Some(error) = self.given_up.take() {
                return Err(error);
            }
            // A node that never comes back says nothing more. One that is there knows
            // better than this machine's clock.
            let epoch = self.epoch();
            let over = |window: RevealWindow| {
                window.is_past_hope(now_ms()) && epoch.is_none_or(|now| now > window.reveal_epoch)
            };
            if self.window.is_some_and(over) {
                let late = Error::Stage {
                    what: "no node has said that it was revealed, and its window is over by now",
                    model: state.model_id,
                    stage: round.stage(),
                };
                return Err(self.trouble.take().unwrap_or(late));
            }
            if let Passed::Rested(pause) = passed {
                self.rest(pause).await;
            }
        }
    }
}
