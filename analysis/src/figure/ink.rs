//! Colours and patterns: the Okabe–Ito palette, told apart also without colour.
//!
//! A file gets plain colours, a drawing inside the page the page's CSS variables, so that it fits
//! light and dark.
//!
//! Source: Okabe and Ito, "Color Universal Design", 2008.

/// What a shape is painted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ink {
    /// Words and numbers.
    Text,
    /// Less important words.
    Muted,
    /// Lines behind the data.
    Grid,
    /// The zero line.
    Axis,
    /// The background.
    Card,
    /// Every other cell of a timeline.
    Stripe,
    /// The plateaus of a timeline.
    Plateau,
    /// Plain blue.
    Blue,
    /// Orange with diagonals.
    Orange,
    /// Plain orange, for lines.
    OrangeLine,
    /// Plain vermilion.
    Vermilion,
    /// Orange with dots.
    Dots,
    /// Plain yellow.
    Yellow,
    /// Blue with diagonals.
    BlueHatch,
    /// Green with horizontal lines.
    Green,
    /// Grey with crosses.
    Grey,
    /// Plain purple.
    Purple,
}

/// A plain colour: CSS name, on white, on black.
const COLOURS: [(&str, &str, &str); 14] = [
    ("text", "#1b1f24", "#e6e9ee"),
    ("muted", "#59636e", "#a3adb9"),
    ("grid", "#e4e7eb", "#323a45"),
    ("axis", "#87909b", "#727c88"),
    ("card", "#ffffff", "#161b22"),
    ("stripe", "#f4f6f8", "#1c232c"),
    ("plateau", "#dbe8f4", "#223a53"),
    ("blue", "#0072b2", "#56b4e9"),
    ("orange", "#e69f00", "#e69f00"),
    ("vermilion", "#d55e00", "#f0803c"),
    ("yellow", "#f0e442", "#f0e442"),
    ("green", "#009e73", "#2fbf96"),
    ("grey", "#a7afb8", "#828b96"),
    ("purple", "#cc79a7", "#cc79a7"),
];

/// What lies over the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    Plain,
    Diagonals,
    Dots,
    Lines,
    Crosses,
}

/// Where the drawing will be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A file of its own.
    File,
    /// Inside the page.
    Inline,
}

impl Ink {
    /// What `fill` and `stroke` say; a pattern is looked up under `prefix`.
    pub fn paint(self, place: Place, prefix: &str) -> String {
        match self.pattern() {
            Pattern::Plain => colour(self.colour(), place),
            _ => format!("url(#{})", self.pattern_id(prefix)),
        }
    }

    /// The element that a drawing with this ink needs, if it is no plain colour.
    ///
    /// Sizes are in painted units, ten to one unit of the figure.
    pub fn definition(self, place: Place, prefix: &str) -> Option<String> {
        let (size, shape) = match self.pattern() {
            Pattern::Plain => return None,
            Pattern::Diagonals => (60, "<path d=\"M-15,15 L15,-15 M0,60 L60,0 M45,75 L75,45\"/>"),
            Pattern::Dots => (50, "<path d=\"M25,25 h1\" stroke-linecap=\"round\"/>"),
            Pattern::Lines => (50, "<path d=\"M0,25 H50\"/>"),
            Pattern::Crosses => (60, "<path d=\"M0,0 L60,60 M60,0 L0,60\"/>"),
        };
        let width = if self.pattern() == Pattern::Dots { 20 } else { 11 };
        let under = colour(self.colour(), place);
        let over = colour(Self::Card.colour(), place);
        let id = self.pattern_id(prefix);
        Some(format!(
            "<pattern id=\"{id}\" patternUnits=\"userSpaceOnUse\" \
             width=\"{size}\" height=\"{size}\">\
             <rect width=\"{size}\" height=\"{size}\" fill=\"{under}\"/>\
             <g stroke=\"{over}\" stroke-width=\"{width}\" fill=\"none\">{shape}</g></pattern>\n"
        ))
    }

    fn pattern_id(self, prefix: &str) -> String {
        format!("{prefix}-{}", self as u8)
    }

    fn colour(self) -> usize {
        match self {
            Self::Text => 0,
            Self::Muted => 1,
            Self::Grid => 2,
            Self::Axis => 3,
            Self::Card => 4,
            Self::Stripe => 5,
            Self::Plateau => 6,
            Self::Blue | Self::BlueHatch => 7,
            Self::Orange | Self::OrangeLine | Self::Dots => 8,
            Self::Vermilion => 9,
            Self::Yellow => 10,
            Self::Green => 11,
            Self::Grey => 12,
            Self::Purple => 13,
        }
    }

    fn pattern(self) -> Pattern {
        match self {
            Self::Orange | Self::BlueHatch => Pattern::Diagonals,
            Self::Dots => Pattern::Dots,
            Self::Green => Pattern::Lines,
            Self::Grey => Pattern::Crosses,
            _ => Pattern::Plain,
        }
    }
}

/// The CSS variables of both colour schemes: `(light, dark)` declarations.
pub fn css_variables() -> (String, String) {
    let list = |pick: fn(&(&str, &str, &str)) -> String| COLOURS.iter().map(pick).collect();
    let light = list(|(name, on_white, _)| format!("--fig-{name}:{on_white};"));
    let dark = list(|(name, _, on_black)| format!("--fig-{name}:{on_black};"));
    (light, dark)
}

fn colour(index: usize, place: Place) -> String {
    let (name, on_white, _) = COLOURS[index];
    match place {
        Place::File => on_white.to_owned(),
        Place::Inline => format!("var(--fig-{name})"),
    }
}

#[test]
fn a_pattern_is_defined_under_the_name_that_it_is_painted_with() {
    let table = [
        (Ink::Blue, Place::File, "#0072b2", ""),
        (Ink::Blue, Place::Inline, "var(--fig-blue)", ""),
        (Ink::Dots, Place::File, "url(#x-11)", "<pattern id=\"x-11\""),
        (Ink::Grey, Place::Inline, "url(#x-15)", "<pattern id=\"x-15\""),
    ];
    for (ink, place, painted, defined) in table {
        assert_eq!(ink.paint(place, "x"), painted);
        let definition = ink.definition(place, "x").unwrap_or_default();
        assert!(definition.starts_with(defined), "{definition}");
        assert_eq!(definition.is_empty(), defined.is_empty(), "{definition}");
        assert!(definition.is_empty() || definition.contains("var(") == (place == Place::Inline));
    }
}
