//! The actors of a case, as the judge knows them: by their keys.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::avp::actors;
use crate::judge::Context;
use crate::keys::{Identity, Seed};

/// The actors of one case. Each is derived when it is first asked for.
pub(super) struct Actors<'a> {
    seed: &'a Seed,
    scope: String,
    known: RefCell<HashMap<String, Rc<Identity>>>,
}

impl<'a> Actors<'a> {
    pub(super) fn new(context: &Context<'a>, case: &str) -> Actors<'a> {
        Actors {
            seed: context.seed,
            scope: actors::scope(context.generation, case),
            known: RefCell::default(),
        }
    }

    /// The keys of an actor.
    pub(super) fn identity(&self, actor: &str) -> Rc<Identity> {
        let mut known = self.known.borrow_mut();
        let derive = || Rc::new(actors::identity(self.seed, &self.scope, actor));
        Rc::clone(known.entry(actor.to_owned()).or_insert_with(derive))
    }
}
