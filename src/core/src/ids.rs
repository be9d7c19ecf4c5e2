//! Names for numbers: a time is not a process is not a unit.

/// A moment on the monotonic clock, or a span of it, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Later than anything that happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// This moment; None where it never comes.
    #[must_use]
    pub const fn unless_never(self) -> Option<Self> {
        if self.0 == Self::NEVER.0 { None } else { Some(self) }
    }

    /// The moment `span_ms` milliseconds later; saturates at the end of time.
    #[must_use]
    pub const fn after(self, span_ms: u64) -> Self {
        Self(self.0.saturating_add(span_ms))
    }

    /// The moment `span_ms` milliseconds earlier, or the boot.
    #[must_use]
    pub const fn before(self, span_ms: u64) -> Self {
        Self(self.0.saturating_sub(span_ms))
    }

    /// Milliseconds passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A process id as the kernel gives it; always greater than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// None unless `raw` can be the id of one process (0 and negative numbers name groups).
    #[must_use]
    pub const fn new(raw: i32) -> Option<Self> {
        if raw > 0 { Some(Self(raw)) } else { None }
    }

    /// The number for the kernel.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

/// A unit's place in the supervisor; stays the same as long as a unit of that name is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u16);
