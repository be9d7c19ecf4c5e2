//! For which CPU a file was made, and which CPUs execute it.

use std::fmt;

/// The CPU that a root is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// ARM1176: Pi 1, Zero, Zero W.
    Armv6,
    /// Cortex-A7: Pi 2, and newer ones in 32 bit.
    Armv7,
    /// Cortex-A53 and newer in 64 bit.
    Aarch64,
    /// A PC.
    X86_64,
    /// Whatever has this `e_machine`.
    Machine(u16),
}

const ARM: u16 = 40;
const AARCH64: u16 = 183;
const X86_64: u16 = 62;
const X86: u16 = 3;

/// What `--cpu` takes.
const NAMES: [(&str, Cpu); 4] = [
    ("armv6", Cpu::Armv6),
    ("armv7", Cpu::Armv7),
    ("aarch64", Cpu::Aarch64),
    ("x86_64", Cpu::X86_64),
];

impl std::str::FromStr for Cpu {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, cpu)| *cpu).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armv6 => "ARMv6",
            Self::Armv7 => "ARMv7",
            Self::Aarch64 | Self::Machine(AARCH64) => "ARM (64 bit)",
            Self::X86_64 | Self::Machine(X86_64) => "x86-64",
            Self::Machine(X86) => "x86 (32 bit)",
            Self::Machine(ARM) => "ARM (32 bit)",
            Self::Machine(243) => "RISC-V",
            Self::Machine(other) => return write!(f, "CPU number {other}"),
        })
    }
}

/// What a program says of the CPU that it was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// `e_machine` of its header.
    pub(crate) machine: u16,
    /// Its ARM build attributes, if it has any.
    pub(crate) arm: Option<Arm>,
}

/// The ARM build attributes that decide where a program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arm {
    /// Tag_CPU_arch.
    pub(crate) arch: u64,
    /// Tag_THUMB_ISA_use: 2 is Thumb-2.
    pub(crate) thumb: u64,
    /// Tag_FP_arch: 1 and 2 are VFPv1 and VFPv2.
    pub(crate) floating: u64,
    /// Tag_Advanced_SIMD_arch: NEON.
    pub(crate) simd: u64,
}

/// Tag_CPU_arch, by its number.
const ARCHITECTURES: [&str; 15] = [
    "pre-v4", "v4", "v4T", "v5T", "v5TE", "v5TEJ", "v6", "v6KZ", "v6T2", "v6K", "v7", "v6-M",
    "v6S-M", "v7E-M", "v8-A",
];
/// v6, v6KZ (ARM1176 itself) and v6K, but not v6T2; and what is older.
const UP_TO_V6: [u64; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 9];
const V6T2: u64 = 8;
const V7: u64 = 10;

impl Made {
    /// The oldest CPU that executes it, as far as it says.
    pub(crate) fn cpu(self) -> Cpu {
        let arm = [Cpu::Armv6, Cpu::Armv7];
        let known = arm.into_iter().find(|cpu| cpu.refuses(self).is_none());
        known.filter(|_| self.arm.is_some()).unwrap_or(Cpu::Machine(self.machine))
    }
}

impl Cpu {
    pub(crate) fn machine(self) -> u16 {
        match self {
            Self::Armv6 | Self::Armv7 => ARM,
            Self::Aarch64 => AARCH64,
            Self::X86_64 => X86_64,
            Self::Machine(machine) => machine,
        }
    }

    /// Why this CPU does not execute what was made so; None when it does.
    pub(crate) fn refuses(self, made: Made) -> Option<String> {
        let own = self.machine();
        // A 64-bit kernel mostly executes its 32-bit ancestor's programs.
        let ancestor = matches!((own, made.machine), (X86_64, X86) | (AARCH64, ARM));
        if own != made.machine && !ancestor {
            return Some(format!("is for {}", Self::Machine(made.machine)));
        }
        let arm = made.arm?;
        let architecture = usize::try_from(arm.arch).ok().and_then(|at| ARCHITECTURES.get(at));
        let architecture = architecture.copied().unwrap_or("past v8");
        let executes = match self {
            Self::Armv6 => UP_TO_V6.contains(&arm.arch),
            Self::Armv7 => UP_TO_V6.contains(&arm.arch) || [V6T2, V7].contains(&arm.arch),
            Self::Aarch64 | Self::X86_64 | Self::Machine(_) => true,
        };
        if !executes {
            return Some(format!("is for ARM{architecture} (Tag_CPU_arch)"));
        }
        if self != Self::Armv6 {
            return None;
        }
        match arm {
            Arm { simd: 1.., .. } => Some("uses NEON (Tag_Advanced_SIMD_arch)".into()),
            Arm { thumb: 2, .. } => Some("uses Thumb-2 (Tag_THUMB_ISA_use)".into()),
            Arm { floating: 3.., .. } => Some("uses VFPv3 or newer (Tag_FP_arch)".into()),
            Arm { .. } => None,
        }
    }

    /// Whether `made` should have said for which ARM it is, and did not.
    pub(crate) fn cannot_tell(self, made: Made) -> bool {
        self == Self::Armv6 && made.machine == ARM && made.arm.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(arch: u64) -> Arm {
        Arm { arch, ..Arm::default() }
    }

    #[test]
    fn armv6_takes_what_an_arm1176_executes() {
        let says = |arm| Cpu::Armv6.refuses(Made { machine: ARM, arm: Some(arm) });
        for good in [0, 4, 5, 6, 7, 9] {
            assert_eq!(says(arm(good)), None, "{good}");
        }
        for (bad, name) in [(8, "v6T2"), (10, "v7"), (11, "v6-M"), (14, "v8-A"), (99, "past v8")] {
            assert_eq!(says(arm(bad)), Some(format!("is for ARM{name} (Tag_CPU_arch)")));
        }
        assert!(says(Arm { simd: 1, ..arm(6) }).is_some_and(|why| why.contains("NEON")));
        assert!(says(Arm { thumb: 2, ..arm(6) }).is_some_and(|why| why.contains("Thumb-2")));
        assert!(says(Arm { floating: 3, ..arm(6) }).is_some_and(|why| why.contains("VFPv3")));
        assert_eq!(says(Arm { floating: 2, thumb: 1, ..arm(7) }), None);
        assert!(Cpu::Armv6.cannot_tell(Made { machine: ARM, arm: None }));
    }

    #[test]
    fn a_program_says_how_old_a_cpu_may_be() {
        let says = |machine, arm| Made { machine, arm }.cpu();
        assert_eq!(says(ARM, Some(arm(4))), Cpu::Armv6);
        assert_eq!(says(ARM, Some(arm(10))), Cpu::Armv7);
        assert_eq!(says(ARM, Some(Arm { simd: 1, ..arm(6) })), Cpu::Armv7);
        assert_eq!(says(ARM, Some(arm(14))), Cpu::Machine(ARM));
        assert_eq!(says(ARM, None), Cpu::Machine(ARM));
        assert_eq!(says(X86_64, None), Cpu::Machine(X86_64));
    }

    #[test]
    fn other_cpus_take_their_own_and_their_ancestors() {
        let made = |machine, arm| Made { machine, arm };
        assert_eq!(Cpu::Armv7.refuses(made(ARM, Some(Arm { simd: 1, ..arm(10) }))), None);
        assert!(Cpu::Armv7.refuses(made(ARM, Some(arm(14)))).is_some());
        assert_eq!(Cpu::Aarch64.refuses(made(ARM, Some(arm(10)))), None);
        assert_eq!(Cpu::Aarch64.refuses(made(X86_64, None)), Some("is for x86-64".into()));
        assert_eq!(Cpu::X86_64.refuses(made(X86, None)), None);
        assert!(Cpu::Armv7.refuses(made(AARCH64, None)).is_some());
        assert_eq!("armv6".parse(), Ok(Cpu::Armv6));
        assert!("arm".parse::<Cpu>().is_err());
    }
}
