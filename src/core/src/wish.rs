//! What a unit is to be, and how it stands for the units that need it. Decides nothing.

use crate::Goal;

/// What the unit is to be. Set by operators, timers, loads, and the units that want it or conflict
/// with it; `settle` walks the state there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) goal: Goal,
    /// To run once: policy does not start it again. Until somebody else asks for it.
    pub(crate) once: bool,
    /// To be stopped and started once. Until it stops or begins.
    pub(crate) bounce: bool,
    /// Failed or in back-off, and to be tried now. Until it is.
    pub(crate) retry: bool,
}

impl Wish {
    /// To be down, and nothing else.
    pub(crate) const DOWN: Self =
        Self { goal: Goal::Down, once: false, bounce: false, retry: false };
}

/// What those know of the unit that require it or come after it: not its state, for it keeps serving
/// them while it starts again at once, and has kept them waiting once only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// What requires it may run. Stays true over a restart that comes at once.
    pub(crate) carries: bool,
    /// The oneshot did its work since it was last asked to.
    pub(crate) done: bool,
    /// Came up or failed once since it was asked for: order after it is satisfied.
    pub(crate) tried: bool,
    /// Cannot start because of what it requires: order after it is not waited for.
    pub(crate) hopeless: bool,
}

impl Standing {
    /// Of a unit that is up, as far as it has not been so before.
    pub(crate) const fn rise(&mut self) {
        self.carries = true;
        self.tried = true;
    }

    /// Of a unit that rests: nothing of it serves.
    pub(crate) const fn rest(&mut self) {
        self.carries = false;
        self.done = false;
        self.tried = true;
    }
}
