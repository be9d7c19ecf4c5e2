//! Made-up ELF files. Other crates' tests have them, too.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

pub const ARM: u16 = 40;
pub const X86_64: u16 = 62;
pub const AARCH64: u16 = 183;

/// An ELF file that has what `ettan check` looks at, and nothing else.
#[derive(Clone, Default)]
pub struct Elf {
    pub machine: u16,
    pub loader: Option<&'static str>,
    pub needed: Vec<&'static str>,
    pub rpath: Option<&'static str>,
    pub runpath: Option<&'static str>,
    /// ARM build attributes: tag and value.
    pub attributes: Vec<(u8, u8)>,
}

/// A static program for a machine.
pub fn elf(machine: u16) -> Elf {
    Elf { machine, ..Elf::default() }
}

/// Numbers as wide as the file's class has them.
struct Writer {
    wide: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn half(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn address(&mut self, value: usize) {
        let value = value as u64;
        let width = if self.wide { 8 } else { 4 };
        self.bytes.extend(&value.to_le_bytes()[..width]);
    }
}

impl Elf {
    pub fn dynamic(self, loader: &'static str, needed: &[&'static str]) -> Self {
        Self { loader: Some(loader), needed: needed.to_vec(), ..self }
    }

    pub fn library(machine: u16, needed: &[&'static str]) -> Self {
        Self { needed: needed.to_vec(), ..elf(machine) }
    }

    /// Tag_CPU_arch and, if any, other attributes.
    pub fn arm(self, arch: u8, more: &[(u8, u8)]) -> Self {
        let attributes = [(6, arch)].iter().chain(more).copied().collect();
        Self { attributes, ..self }
    }

    /// Header, three program headers, loader, strings, dynamic table, attributes, three sections.
    pub fn bytes(&self) -> Vec<u8> {
        let wide = matches!(self.machine, X86_64 | AARCH64);
        let (header, segment, section) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let loader = self.loader.map(|path| [path.as_bytes(), b"\0"].concat()).unwrap_or_default();
        let mut strings = vec![0];
        let mut dynamic = Writer { wide, bytes: Vec::new() };
        let entries = self.needed.iter().map(|name| (1, *name));
        let entries = entries.chain(self.rpath.map(|path| (15, path)));
        for (tag, text) in entries.chain(self.runpath.map(|path| (29, path))) {
            dynamic.address(tag);
            dynamic.address(strings.len());
            strings.extend(text.as_bytes());
            strings.push(0);
        }
        let at_loader = header + 3 * segment;
        let at_strings = at_loader + loader.len();
        let at_dynamic = at_strings + strings.len();
        for (tag, value) in [(5, 0x1_0000 + at_strings), (10, strings.len()), (0, 0)] {
            dynamic.address(tag);
            dynamic.address(value);
        }
        let attributes = self.attribute_section();
        let at_attributes = at_dynamic + dynamic.bytes.len();
        let at_sections = at_attributes + attributes.len();
        let mut out = Writer { wide, bytes: b"\x7fELF".to_vec() };
        out.bytes.extend([if wide { 2 } else { 1 }, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.half(3);
        out.half(self.machine);
        out.word(1);
        out.address(0);
        out.address(header);
        out.address(at_sections);
        out.word(0);
        for value in [header, segment, 3, section, 3, 2] {
            out.half(u16::try_from(value).unwrap());
        }
        let end = at_sections + 3 * section;
        let interpreter = u32::from(!loader.is_empty()) * 3;
        let is_dynamic = u32::from(self.loader.is_some() || !self.needed.is_empty()) * 2;
        for (kind, at, size) in [
            (1, 0, end),
            (interpreter, at_loader, loader.len()),
            (is_dynamic, at_dynamic, dynamic.bytes.len()),
        ] {
            program_header(&mut out, kind, at, size);
        }
        for part in [&loader, &strings, &dynamic.bytes, &attributes] {
            out.bytes.extend(part);
        }
        for (kind, at, size) in
            [(0, 0, 0), (0x7000_0003, at_attributes, attributes.len()), (3, at_strings, 1)]
        {
            let kind = if kind == 0x7000_0003 && attributes.is_empty() { 0 } else { kind };
            section_header(&mut out, kind, at, size);
        }
        out.bytes
    }

    fn attribute_section(&self) -> Vec<u8> {
        if self.attributes.is_empty() {
            return Vec::new();
        }
        // A text in front (Tag_CPU_name), as compilers write it.
        let mut pairs = b"\x05ARM\0".to_vec();
        pairs.extend(self.attributes.iter().flat_map(|(tag, value)| [*tag, *value]));
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
        let mut file = vec![1];
        file.extend(length(pairs.len() + 5));
        file.extend(pairs);
        let mut vendor = length(file.len() + 10).to_vec();
        vendor.extend(b"aeabi\0");
        vendor.extend(file);
        [b"A".to_vec(), vendor].concat()
    }
}

fn program_header(out: &mut Writer, kind: u32, at: usize, size: usize) {
    out.word(kind);
    if out.wide {
        out.word(5);
    }
    for value in [at, 0x1_0000 + at, 0x1_0000 + at, size, size] {
        out.address(value);
    }
    if !out.wide {
        out.word(5);
    }
    out.address(1);
}

fn section_header(out: &mut Writer, kind: u32, at: usize, size: usize) {
    out.word(0);
    out.word(kind);
    for value in [0, 0, at, size] {
        out.address(value);
    }
    out.word(0);
    out.word(0);
    out.address(1);
    out.address(0);
}
