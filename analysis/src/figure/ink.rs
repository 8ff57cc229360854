//! Colours and patterns: the Okabe–Ito palette, told apart also without colour.
//!
//! Shapes are painted with a marker colour per ink; the finished text then gets either plain
//! colours (files) or the page's CSS variables (inline), so one drawing fits light and dark.
//!
//! Source: Okabe and Ito, "Color Universal Design", 2008.

/// What a shape is painted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    const ALL: [Self; 17] = [
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Axis,
        Self::Card,
        Self::Stripe,
        Self::Plateau,
        Self::Blue,
        Self::Orange,
        Self::OrangeLine,
        Self::Vermilion,
        Self::Dots,
        Self::Yellow,
        Self::BlueHatch,
        Self::Green,
        Self::Grey,
        Self::Purple,
    ];

    /// The marker colour that stands for it while painting.
    pub fn marker(self) -> (u8, u8, u8) {
        (0xfe, 0x01, self as u8)
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

fn paint(colour: usize, place: Place) -> String {
    let (name, on_white, _) = COLOURS[colour];
    match place {
        Place::File => on_white.to_owned(),
        Place::Inline => format!("var(--fig-{name})"),
    }
}

/// Replaces the marker colours of a finished drawing; patterns get `prefix` in their names.
///
/// Returns the drawing and the definitions of the patterns that it uses.
pub fn replace_markers(drawing: &str, place: Place, prefix: &str) -> (String, String) {
    let mut text = drawing.to_owned();
    let mut definitions = String::new();
    for ink in Ink::ALL {
        let (red, green, blue) = ink.marker();
        let marker = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
        if !text.contains(&marker) {
            continue;
        }
        let colour = paint(ink.colour(), place);
        if ink.pattern() == Pattern::Plain {
            text = text.replace(&marker, &format!("\"{colour}\""));
            continue;
        }
        let id = format!("{prefix}-{}", ink as u8);
        text = text.replace(&marker, &format!("\"url(#{id})\""));
        let over = paint(Ink::Card.colour(), place);
        definitions.push_str(&definition(&id, &colour, &over, ink.pattern()));
    }
    (text, definitions)
}

/// Sizes are in painted units, ten to one unit of the figure.
fn definition(id: &str, colour: &str, over: &str, pattern: Pattern) -> String {
    let (size, shape) = match pattern {
        Pattern::Plain => return String::new(),
        Pattern::Diagonals => (60, "<path d=\"M-15,15 L15,-15 M0,60 L60,0 M45,75 L75,45\"/>"),
        Pattern::Dots => (50, "<path d=\"M25,25 h1\" stroke-linecap=\"round\"/>"),
        Pattern::Lines => (50, "<path d=\"M0,25 H50\"/>"),
        Pattern::Crosses => (60, "<path d=\"M0,0 L60,60 M60,0 L0,60\"/>"),
    };
    let width = if pattern == Pattern::Dots { 20 } else { 11 };
    format!(
        "<pattern id=\"{id}\" patternUnits=\"userSpaceOnUse\" width=\"{size}\" height=\"{size}\">\
         <rect width=\"{size}\" height=\"{size}\" fill=\"{colour}\"/>\
         <g stroke=\"{over}\" stroke-width=\"{width}\" fill=\"none\">{shape}</g></pattern>\n"
    )
}

#[test]
fn every_marker_is_replaced() {
    let painted = Ink::ALL.map(|ink| {
        let (red, green, blue) = ink.marker();
        format!("fill=\"#{red:02X}{green:02X}{blue:02X}\"")
    });
    let drawing = painted.concat();
    for place in [Place::File, Place::Inline] {
        let (text, definitions) = replace_markers(&drawing, place, "x");
        assert!(!text.contains("#FE01"), "{text}");
        assert_eq!(definitions.matches("<pattern").count(), 5);
        assert_eq!(place == Place::Inline, text.contains("var(--fig-"));
    }
}
