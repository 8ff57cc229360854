//! Primes below a limit, their digits in a hash map, and a file written and read again.

use std::collections::HashMap;
use std::{env, fs, io};

fn primes(limit: usize) -> Vec<usize> {
    let mut composite = vec![false; limit];
    let mut found = Vec::new();
    for number in 2..limit {
        if !composite[number] {
            found.push(number);
            let multiples = (number.saturating_mul(number)..limit).step_by(number);
            multiples.for_each(|multiple| composite[multiple] = true);
        }
    }
    found
}

fn main() -> io::Result<()> {
    let limit = env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1000);
    let found = primes(limit);
    let mut digits: HashMap<char, usize> = HashMap::new();
    for digit in found.iter().flat_map(|prime| prime.to_string().chars().collect::<Vec<_>>()) {
        *digits.entry(digit).or_default() += 1;
    }
    let mut sorted: Vec<_> = digits.into_iter().collect();
    sorted.sort_unstable();
    fs::write("/primes.txt", format!("{} {sorted:?}\n", found.len()))?;
    print!("{}", fs::read_to_string("/primes.txt")?);
    assert!(env::args().len() < 3, "one argument at most");
    Ok(())
}
