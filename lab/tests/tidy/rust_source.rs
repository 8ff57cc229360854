//! A scanner of Rust text: just enough to find functions and words that are code. Pure.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Line of the word `fn`, from 1.
    pub line: usize,
    /// From the signature to the closing brace, both counted.
    pub length_lines: usize,
}

/// `text` with comments and the insides of literals turned into spaces; line breaks stay.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// The place behind the comment or literal that begins at `at`; `at` itself if none does.
fn literal_or_comment_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    let end = match (chars[at], next) {
        ('/', Some('/')) => find(chars, at, '\n'),
        ('/', Some('*')) => block_comment_end(chars, at),
        ('"', _) => string_end(chars, at),
        ('r', Some('"' | '#')) if starts_word(chars, at) => raw_string_end(chars, at + 1),
        ('\'', Some('\\')) => find(chars, at + 3, '\'') + 1,
        ('\'', _) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    };
    end.min(chars.len())
}

fn find(chars: &[char], from: usize, wanted: char) -> usize {
    (from..chars.len()).find(|&at| chars[at] == wanted).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at + 1 < chars.len() {
        let step = match (chars[at], chars[at + 1]) {
            ('/', '*') => 1,
            ('*', '/') => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// `hashes` is the place behind the `r`; a raw identifier (`r#type`) is no literal.
fn raw_string_end(chars: &[char], hashes: usize) -> usize {
    let count = chars[hashes..].iter().take_while(|&&c| c == '#').count();
    if chars.get(hashes + count) != Some(&'"') {
        return hashes - 1;
    }
    let mut at = hashes + count + 1;
    while at < chars.len() {
        let closes = chars[at + 1..].iter().take(count).filter(|&&c| c == '#').count() == count;
        if chars[at] == '"' && closes {
            return at + 1 + count;
        }
        at += 1;
    }
    chars.len()
}

/// True if the prefix of a literal may begin at `at`: no word runs into it but `b` or `c`.
fn starts_word(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|at| chars[at]);
    match before(1) {
        Some('b' | 'c') => !before(2).is_some_and(is_word),
        other => !other.is_some_and(is_word),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The lines, from 1, on which `word` stands as a word of its own in `code`.
pub fn lines_with_word(code: &str, word: &str) -> Vec<usize> {
    let holds = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
        })
    };
    code.lines().enumerate().filter(|(_, line)| holds(line)).map(|(at, _)| at + 1).collect()
}

/// The functions with a body in `code`, which [`code_only`] made; nested ones count twice.
pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let rest = &code[at + 3..];
        let name: String = rest.trim_start().chars().take_while(|&c| is_word(c)).collect();
        let Some(body) = body_length(rest).filter(|_| !name.is_empty()) else { continue };
        let line = code[..at].matches('\n').count() + 1;
        let length_lines = rest[..body].matches('\n').count() + 1;
        found.push(Function { name, line, length_lines });
    }
    found
}

/// How far `signature` reaches up to and with its body; `None` if a `;` ends it.
fn body_length(signature: &str) -> Option<usize> {
    let mut nesting = 0_i32;
    let mut depth = 0_i32;
    for (at, c) in signature.char_indices() {
        match c {
            '(' | '[' => nesting += 1,
            ')' | ']' => nesting -= 1,
            ';' if nesting == 0 && depth == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth <= 0 {
                    return (depth == 0).then_some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn literals_and_comments_are_no_code() {
    let table = [
        ("a // {\nb", "a     \nb"),
        ("/* { /* } */ { */x", "                 x"),
        (r#"x("{\"{")y"#, "x(      )y"),
        ("r#\"{\"{\"#;", "        ;"),
        ("br\"{\"+", "b    +"),
        ("'{' '\\'' '\\u{7d}' x", "                  x"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("r#type", "r#type"),
        ("var\"x", "var  "),
        ("\"open {", "       "),
    ];
    for (text, want) in table {
        assert_eq!(code_only(text), want, "{text}");
    }
}

#[test]
fn functions_are_found_with_their_length() {
    let function =
        |name: &str, line, length_lines| Function { name: name.to_owned(), line, length_lines };
    let table = [
        ("fn a() {}", vec![function("a", 1, 1)]),
        ("x\npub fn a(b: [u8; 4])\nwhere\n{\n  { }\n}\n", vec![function("a", 2, 5)]),
        ("trait T { fn a(); fn b() { 1 } }", vec![function("b", 1, 1)]),
        ("fn a() {\n fn b() {\n }\n}", vec![function("a", 1, 4), function("b", 2, 2)]),
        ("type F = fn (u8); struct Afn ;", vec![]),
        ("macro_rules! m { () => { fn $name() {} } }", vec![]),
        (
            "fn a() { '{'; \"{\"; /* { */ }\nfn b() {\n}",
            vec![function("a", 1, 1), function("b", 2, 2)],
        ),
    ];
    for (text, want) in table {
        assert_eq!(functions(&code_only(text)), want, "{text}");
    }
}

#[test]
fn words_stand_alone() {
    assert_eq!(lines_with_word("unsafely\nan unsafe {\n_unsafe", "unsafe"), [2]);
}
