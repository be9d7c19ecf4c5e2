//! One program by itself: for which CPU it is, and what it cannot be without. For whoever puts a program on a
//! root, and for what the programs there say of the root. Looks at that one file.

use std::path::Path;

use crate::cpu::Cpu;
use crate::elf::{self, Image};
use crate::program::elf_file;

/// What an ELF file says of itself.
#[derive(Clone, Debug)]
pub struct Binary(Image);

impl Binary {
    /// Reads a file; None when it is no ELF file, or a damaged one.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let (file, wide) = elf_file(path)?;
        elf::read(file, wide).ok().map(Self)
    }

    /// The oldest CPU that executes it, as far as it says.
    #[must_use]
    pub fn cpu(&self) -> Cpu {
        self.0.made.cpu()
    }

    /// Why it is none of `cpu`'s own programs; None when it is. A 64-bit CPU may execute its ancestor's, but
    /// not every kernel for it does.
    #[must_use]
    pub fn foreign_to(&self, cpu: Cpu) -> Option<String> {
        let made = self.0.made;
        let is_other = made.machine != cpu.machine();
        is_other
            .then(|| format!("is for {}", Cpu::Machine(made.machine)))
            .or_else(|| cpu.refuses(made))
    }

    /// The loader or library that it cannot be without; None when it is static.
    #[must_use]
    pub fn needs(&self) -> Option<&str> {
        self.0.interpreter.as_deref().or(self.0.needed.first().map(String::as_str))
    }
}
