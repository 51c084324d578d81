//! The states that a power cut may leave at one point of a record.

use super::image::{Change, Image};
use super::replay::Replay;

/// A disk writes whole units of so many bytes: sectors, pages.
const TEAR_UNITS: [usize; 2] = [512, 4096];
/// Places where a write is torn that are tried, of each unit.
const TEARS_MAX: usize = 8;
/// Of so many changes every choice is tried.
const ALL_CHOICES_OF: usize = 5;
/// Random choices for each change, where there are more, and at most at one point.
const RANDOM_CHOICES: (usize, usize) = (4, 48);

/// A state that a power cut may leave.
#[derive(Debug, Clone)]
pub struct CrashState {
    /// How it came to be.
    pub how: String,
    /// What is there.
    pub image: Image,
}

/// What becomes of one change that is not durable.
enum Fate {
    Kept,
    Lost,
    /// These bytes were written in place of its own.
    Spoilt(Vec<u8>),
}

/// Kept if it is.
fn when(kept: bool) -> Fate {
    if kept { Fate::Kept } else { Fate::Lost }
}

impl Replay {
    /// States that are tried at this point. Those that differ in the folder left aside only are not among
    /// them, but each of these has some choice of what is there. `seed` decides the random ones.
    pub fn states(&self, seed: u64) -> Vec<CrashState> {
        self.states_of(&self.changes(false), seed)
    }

    /// States that differ from all that was kept only in the folder left aside.
    pub fn states_aside(&self, seed: u64) -> Vec<CrashState> {
        self.states_of(&self.changes(true), seed)
    }

    fn states_of(&self, of: &[usize], seed: u64) -> Vec<CrashState> {
        let mut states = Vec::new();
        let mut add = |how: String, image: Image| states.push(CrashState { how, image });
        add("all kept".to_owned(), self.image(|_, _| Fate::Kept));
        if self.pending.is_empty() {
            return states;
        }
        add(
            "all unsynced lost".to_owned(),
            self.image(|_, _| Fate::Lost),
        );
        if of.len() > ALL_CHOICES_OF {
            self.one_by_one(of, &mut add);
            self.random_choices(of, seed, &mut add);
        } else {
            self.all_choices(of, seed, &mut add);
        }
        self.spoilt(of, &mut add);
        self.torn(of, &mut add);
        states
    }

    fn image(&self, fate: impl Fn(usize, &Change) -> Fate) -> Image {
        let mut tree = self.durable.clone();
        for (n, change) in self.pending.iter().enumerate() {
            match (fate(n, change), change) {
                (Fate::Lost, _) => {}
                (Fate::Spoilt(bytes), Change::Bytes(node, at, _)) => {
                    tree.apply(&Change::Bytes(*node, *at, bytes));
                }
                _ => tree.apply(change),
            }
        }
        Image::of(&tree)
    }

    fn one_by_one(&self, of: &[usize], add: &mut impl FnMut(String, Image)) {
        for &one in of {
            let change = self.describe(one);
            add(
                format!("{change} alone lost"),
                self.image(|n, _| when(n != one)),
            );
            add(
                format!("{change} alone kept"),
                self.image(|n, _| when(n == one)),
            );
        }
    }

    /// Every choice of these; of the other changes a random one.
    fn all_choices(&self, of: &[usize], seed: u64, add: &mut impl FnMut(String, Image)) {
        for choice in 0..1_usize << of.len() {
            let kept = |n: usize| match of.iter().position(|one| *one == n) {
                Some(bit) => choice >> bit & 1 == 1,
                None => self.draw(seed, choice, n) & 1 == 1,
            };
            add(
                self.describe_choice(of, kept),
                self.image(|n, _| when(kept(n))),
            );
        }
    }

    /// Choices in which each change is kept with a probability of a half, a quarter, or three quarters. A
    /// new folder is lost less often: nothing that comes into it would be seen.
    fn random_choices(&self, of: &[usize], seed: u64, add: &mut impl FnMut(String, Image)) {
        let (each, most) = RANDOM_CHOICES;
        for choice in 0..(of.len() * each).min(most) {
            let kept = |n: usize| {
                let drawn = self.draw(seed, choice, n);
                let is_folder =
                    matches!(&self.pending[n], Change::Comes(_, _, node) if node % 2 == 0);
                match is_folder {
                    true => !drawn.is_multiple_of(16),
                    false => usize::from(drawn % 4) <= choice % 3,
                }
            };
            add(
                self.describe_choice(of, kept),
                self.image(|n, _| when(kept(n))),
            );
        }
    }

    fn draw(&self, seed: u64, choice: usize, n: usize) -> u8 {
        let mut hasher = blake3::Hasher::new();
        for part in [seed, self.position() as u64, choice as u64, n as u64] {
            hasher.update(&part.to_le_bytes());
        }
        hasher.finalize().as_bytes()[0]
    }

    /// Names that come before what they name.
    fn spoilt(&self, of: &[usize], add: &mut impl FnMut(String, Image)) {
        let is_bytes = |n: usize| of.contains(&n) && matches!(self.pending[n], Change::Bytes(..));
        if !of.iter().any(|n| is_bytes(*n)) {
            return;
        }
        add(
            "names without bytes".to_owned(),
            self.image(|n, _| when(!is_bytes(n))),
        );
        for (what, byte) in [("zeros", 0), ("garbage", 0xA5)] {
            let image = self.image(|n, change| match change {
                Change::Bytes(_, _, bytes) if is_bytes(n) => Fate::Spoilt(vec![byte; bytes.len()]),
                _ => Fate::Kept,
            });
            add(format!("lengths with {what}"), image);
        }
    }

    /// The last write that is not durable, torn at the borders of units.
    fn torn(&self, of: &[usize], add: &mut impl FnMut(String, Image)) {
        let is_bytes = |n: &&usize| matches!(self.pending[**n], Change::Bytes(..));
        let Some(&last) = of.iter().rfind(is_bytes) else {
            return;
        };
        let Change::Bytes(_, at, bytes) = &self.pending[last] else {
            return;
        };
        for unit in TEAR_UNITS {
            let borders = (at / unit + 1..).map(|n| n * unit - at);
            let borders = borders.take_while(|border| *border < bytes.len());
            for border in borders.take(TEARS_MAX) {
                let mut late = bytes.clone();
                late[..border].fill(0);
                let variants = [("up to", bytes[..border].to_vec()), ("only from", late)];
                for (which, torn) in variants {
                    let image = self.image(|n, _| match n == last {
                        true => Fate::Spoilt(torn.clone()),
                        false => Fate::Kept,
                    });
                    add(format!("last write {which} {border}"), image);
                }
            }
        }
    }

    fn describe_choice(&self, of: &[usize], kept: impl Fn(usize) -> bool) -> String {
        let lost = of.iter().filter(|n| !kept(**n));
        let lost: Vec<String> = lost.map(|n| self.describe(*n)).collect();
        format!("lost: {}", lost.join(", "))
    }

    fn describe(&self, n: usize) -> String {
        match &self.pending[n] {
            Change::Bytes(_, at, bytes) => format!("{} bytes at {at}", bytes.len()),
            Change::Comes(_, name, _) => format!("name {}", name.display()),
            Change::Goes(_, name) => format!("removal of {}", name.display()),
        }
    }
}
