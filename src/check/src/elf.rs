//! What an ELF file says of itself: CPU, loader, libraries. Looks at nothing else.

use std::fs::File;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef};

use crate::cpu::{Arm, Made};

/// What matters of an ELF file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) made: Made,
    /// Whether it is of 64 bits.
    pub(crate) wide: bool,
    /// The loader that the kernel starts for it.
    pub(crate) interpreter: Option<String>,
    /// The names of the libraries that it cannot be without.
    pub(crate) needed: Vec<String>,
    /// Where it has them searched, in the old way: for what those need, too.
    pub(crate) rpath: Vec<String>,
    /// Where it has them searched, in the new way: for itself alone.
    pub(crate) runpath: Vec<String>,
}

/// The first bytes of every ELF file.
pub(crate) const MAGIC: &[u8] = b"\x7fELF";

/// The most names that are taken from one file.
const MAX_NAMES: usize = 1024;

/// Reads a file that begins with `MAGIC`.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn read(file: File, wide: bool) -> Result<Image, String> {
    let cache = ReadCache::new(file);
    let image = match wide {
        true => image::<FileHeader64<Endianness>, _>(&cache, wide),
        false => image::<FileHeader32<Endianness>, _>(&cache, wide),
    };
    image.map_err(|error| error.to_string())
}

fn image<'data, H, R>(data: R, wide: bool) -> object::Result<Image>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let made = Made { machine: header.e_machine(endian).0, arm: arm(header, endian, data) };
    let mut image = Image { made, wide, ..Image::default() };
    let segments = header.program_headers(endian, data)?;
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, data)? {
            image.interpreter = Some(text(path));
        }
        if let Some(entries) = segment.dynamic(endian, data)? {
            dynamic::<H, R>(segments, entries, endian, data, &mut image);
        }
    }
    Ok(image)
}

fn dynamic<'data, H, R>(
    segments: &[H::ProgramHeader],
    entries: &[H::Dyn],
    endian: Endianness,
    data: R,
    image: &mut Image,
) where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let value = |tag| {
        let entry = entries.iter().find(|entry| entry.d_tag(endian) == tag)?;
        Some(entry.d_val(endian).into())
    };
    let Some(strings): Option<u64> = value(elf::DT_STRTAB) else { return };
    let size: u64 = value(elf::DT_STRSZ).unwrap_or(0);
    let Some(start) = segments.iter().find_map(|segment| {
        let within = strings.checked_sub(segment.p_vaddr(endian).into())?;
        let size: u64 = segment.p_filesz(endian).into();
        let offset: u64 = segment.p_offset(endian).into();
        let loaded = segment.p_type(endian) == elf::PT_LOAD && within < size;
        loaded.then(|| offset.checked_add(within))?
    }) else {
        return;
    };
    let string = |at: u64| {
        let at = start.checked_add(at)?;
        let range = at..start.checked_add(size)?;
        data.read_bytes_at_until(range, 0).ok().map(text)
    };
    for entry in entries.iter().take(MAX_NAMES) {
        let tag = entry.d_tag(endian);
        let list = match tag {
            elf::DT_NEEDED => &mut image.needed,
            elf::DT_RPATH => &mut image.rpath,
            elf::DT_RUNPATH => &mut image.runpath,
            elf::DT_NULL => break,
            _ => continue,
        };
        let Some(found) = string(entry.d_val(endian).into()) else { continue };
        match tag {
            elf::DT_NEEDED => list.push(found),
            _ => list.extend(found.split(':').map(ToString::to_string)),
        }
    }
}

/// The build attributes of an ARM file. They are in a section: a file stripped of those has none.
fn arm<'data, H, R>(header: &H, endian: Endianness, data: R) -> Option<Arm>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    if header.e_machine(endian) != elf::EM_ARM {
        return None;
    }
    let sections = header.sections(endian, data).ok()?;
    let section = sections.iter().find(|s| s.sh_type(endian) == elf::SHT_ARM_ATTRIBUTES)?;
    let attributes = section.attributes(endian, data).ok()?;
    let mut vendors = attributes.subsections().ok()?;
    while let Some(vendor) = vendors.next().ok()? {
        if vendor.vendor() != b"aeabi" {
            continue;
        }
        let mut scopes = vendor.subsubsections();
        while let Some(scope) = scopes.next().ok()? {
            if scope.tag() == elf::Tag_File {
                let mut arm = Arm::default();
                // A value that cannot be read ends the list; what came before is true.
                let _ = collect(scope.attributes(), &mut arm);
                return Some(arm);
            }
        }
    }
    None
}

/// Tags with a text (ARM IHI 0045): the two CPU names, and odd ones past 32.
fn is_text(tag: u64) -> bool {
    matches!(tag, 4 | 5) || (tag > 32 && tag % 2 == 1)
}

fn collect(
    mut reader: object::read::elf::AttributeReader<'_>,
    arm: &mut Arm,
) -> object::Result<()> {
    while let Some(tag) = reader.read_tag()? {
        if is_text(tag) {
            reader.read_string()?;
            continue;
        }
        let value = reader.read_integer()?;
        match tag {
            6 => arm.arch = value,
            9 => arm.thumb = value,
            10 => arm.floating = value,
            12 => arm.simd = value,
            // Tag_compatibility has a text after its number.
            32 => {
                reader.read_string()?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
