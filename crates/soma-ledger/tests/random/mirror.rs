//! A store that sees nothing but executions.

use std::collections::BTreeMap;

use soma_ledger::checkpoint::LiveObjectSet;
use soma_ledger::{Execution, Ledger, Parts};
use soma_proto::system_state::Model;
use soma_proto::{Object, ObjectDigest, ObjectId};

pub(crate) struct Mirror {
    objects: BTreeMap<ObjectId, Object>,
    models: BTreeMap<ObjectId, Model>,
    live: LiveObjectSet,
    forgotten: Vec<ObjectDigest>,
}

impl Mirror {
    pub(crate) fn new(ledger: &Ledger, genesis: &Execution) -> Self {
        let mut mirror = Self {
            objects: BTreeMap::new(),
            models: BTreeMap::new(),
            live: LiveObjectSet::default(),
            forgotten: Vec::new(),
        };
        mirror.follow(ledger, genesis);
        mirror
    }

    /// Keeps what an execution carries.
    pub(crate) fn follow(&mut self, ledger: &Ledger, done: &Execution) {
        for object in &done.written {
            self.objects.insert(object.id(), object.clone());
        }
        for id in &done.deleted {
            self.objects.remove(id).expect("a deleted object was there");
        }
        for id in &done.forgotten {
            let target = self.objects.remove(id).expect("a forgotten target was there");
            self.forgotten.push(target.digest());
        }
        for id in &done.touched_models {
            let model = ledger.system_state().model_registry.get(id).expect("models never vanish");
            self.models.insert(*id, model.clone());
        }
        self.live.apply(&done.effects);
    }

    /// Compares a ledger put together from what was kept with the real one.
    pub(crate) fn check(self, ledger: &Ledger) {
        let mut live = LiveObjectSet::default();
        let digests = self.objects.values().map(Object::digest);
        for digest in digests.chain(self.forgotten).chain([ledger.state_reference().digest()]) {
            live.insert(&digest);
        }
        assert_eq!(live, self.live);

        let restored = Ledger::restore(Parts {
            objects: self.objects.into_values().collect(),
            skeleton: ledger.skeleton(),
            models: self.models.into_iter().collect(),
            state_version: ledger.state_reference().version(),
            state_previous_transaction: ledger.state_previous_transaction(),
            counters: *ledger.counters(),
        })
        .expect("consistent parts");
        assert_eq!(restored.state_reference(), ledger.state_reference());
        assert_eq!(restored.system_state(), ledger.system_state());
        assert!(restored.objects().eq(ledger.objects()));
    }
}
