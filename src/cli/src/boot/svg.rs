//! The chart of the boot as one picture that needs nothing else: bars over time, those that the end of the
//! boot waited for in a darker colour, units that are not up in another.

use super::{Bar, Chart, seconds};
use std::fmt::Write;

/// All in points.
const WIDTH: u64 = 1_000;
const LEFT: u64 = 180;
const SPAN: u64 = 700;
const TOP: u64 = 50;
const ROW: u64 = 20;

const CHAIN: &str = "#1f4e9c";
const OTHER: &str = "#9dc0ee";
const MISSING: &str = "#d8643b";

/// At most so many lines for the time.
const TICKS: u64 = 10;

/// The picture.
pub(super) fn draw(chart: &Chart) -> String {
    let bottom = TOP + ROW * chart.bars.len() as u64;
    let height = bottom + 45;
    let headline = xml(&chart.headline);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{headline}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">{headline}</text>\n"
    );
    ticks(&mut svg, chart.end_ms, bottom);
    for (bar, nth) in chart.bars.iter().zip(0..) {
        row(&mut svg, bar, TOP + ROW * nth, chart.end_ms);
    }
    let mut x = LEFT;
    for (fill, words) in [
        (CHAIN, "the end of the boot waited for this"),
        (OTHER, "it did not wait for this"),
        (MISSING, "not up"),
    ] {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"14\" fill=\"{fill}\"/>\
             <text x=\"{}\" y=\"{}\">{words}</text>",
            bottom + 20,
            x + 20,
            bottom + 31,
        );
        x += 250;
    }
    svg + "</svg>\n"
}

fn place(ms: u64, end_ms: u64) -> u64 {
    LEFT + ms.min(end_ms) * SPAN / end_ms
}

/// Lines for the time, at round places.
fn ticks(svg: &mut String, end_ms: u64, bottom: u64) {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let step = steps.into_iter().find(|step| end_ms / step <= TICKS).unwrap_or(end_ms);
    for nth in 0..=end_ms / step {
        let x = place(nth * step, end_ms);
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"#dddddd\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#777777\">{}</text>",
            TOP - 8,
            TOP - 12,
            seconds(nth * step),
        );
    }
}

fn row(svg: &mut String, bar: &Bar, y: u64, end_ms: u64) {
    let Bar { name, from_ms, to_ms, is_chain } = bar;
    let from = place(*from_ms, end_ms);
    let width = place(to_ms.unwrap_or(end_ms), end_ms).saturating_sub(from).max(2);
    let (fill, label) = match to_ms {
        Some(to) => {
            let took = seconds(to.saturating_sub(*from_ms));
            (if *is_chain { CHAIN } else { OTHER }, format!("{} +{took}", seconds(*from_ms)))
        }
        None => (MISSING, format!("{}, not up", seconds(*from_ms))),
    };
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{from}\" y=\"{y}\" width=\"{width}\" height=\"14\" fill=\"{fill}\"/>\
         <text x=\"{}\" y=\"{}\">{label}</text>",
        LEFT - 10,
        y + 11,
        xml(name),
        from + width + 5,
        y + 11,
    );
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_as_it_was() {
        let drawn = draw(&super::super::tests::chart());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boot.svg");
        if std::env::var_os("ETTAN_UPDATE").is_some() {
            std::fs::write(path, &drawn).unwrap();
        }
        let known = std::fs::read_to_string(path).unwrap();
        assert!(
            drawn == known,
            "ETTAN_UPDATE=1 cargo test -p ettan picture, then look at it:\n{drawn}"
        );
    }

    #[test]
    fn every_moment_has_its_place() {
        for end_ms in [1, 7, 999, 1_000, 59_999, 10_000_000] {
            let bar = |from_ms, to_ms| Bar { name: "<&>".into(), from_ms, to_ms, is_chain: false };
            let bars =
                vec![bar(0, Some(end_ms)), bar(end_ms, None), bar(0, Some(u64::MAX / 1_000))];
            let svg = draw(&Chart { bars, end_ms, headline: "a < b".into() });
            let lines = svg.matches("<line ").count();
            assert!((2..=11).contains(&lines), "{lines} for {end_ms}");
            assert!(svg.contains(">&lt;&amp;&gt;<") && svg.contains("<title>a &lt; b</title>"));
        }
    }
}
