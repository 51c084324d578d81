//! The order in which tables can be filled so that references find their targets.
//!
//! A table comes after every table it refers to, directly or through others, unless both lie on one
//! cycle of references; apart from that tables keep the order in which they were created. So a schema written parents first
//! keeps its order, and equal schemas get equal orders. No recursion: a schema is foreign input.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::schema::{Schema, Table, TableKind};

/// A table with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOrder {
    /// Position in `Schema::tables`.
    pub table: usize,
    /// The table's name.
    pub name: String,
    /// 1 for the table that is filled first.
    pub import_order: u32,
    /// The other tables it refers to, in creation order, spelled as they were created; only those
    /// that exist and hold records.
    pub dependencies: Vec<String>,
    /// True if it refers to itself.
    pub refers_to_itself: bool,
}

/// The order of a schema's tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOrder {
    /// The ordinary tables, first to be filled first.
    pub tables: Vec<TableOrder>,
    /// Tables that refer to each other in a circle, two or more each: positions in
    /// `Schema::tables`, in creation order, as are the cycles by their first tables.
    pub cycles: Vec<Vec<usize>>,
}

/// Orders the ordinary tables: neither SQLite's own, nor virtual ones, nor those behind them.
pub fn import_order(schema: &Schema) -> ImportOrder {
    let tables: Vec<usize> = (0..schema.tables.len())
        .filter(|at| is_ordinary(&schema.tables[*at]))
        .collect();
    let parents = parents_of(schema, &tables);
    let component = components(&parents);
    let order = order_of(&parents, &component);
    let placed = order.iter().zip(1..).map(|(&node, import_order)| {
        let table = &schema.tables[tables[node]];
        let others = parents[node].iter().filter(|parent| **parent != node);
        TableOrder {
            table: tables[node],
            name: table.name.clone(),
            import_order,
            dependencies: others
                .map(|&parent| schema.tables[tables[parent]].name.clone())
                .collect(),
            refers_to_itself: parents[node].contains(&node),
        }
    });
    ImportOrder {
        tables: placed.collect(),
        cycles: cycles_of(&component, &tables),
    }
}

fn is_ordinary(table: &Table) -> bool {
    let holds_records = matches!(
        table.kind,
        TableKind::Rowid { .. } | TableKind::WithoutRowid
    );
    holds_records && !table.is_internal()
}

/// For every node (a position in `tables`) the nodes it refers to: rising, each once.
fn parents_of(schema: &Schema, tables: &[usize]) -> Vec<Vec<usize>> {
    let folded = |name: &str| name.to_ascii_lowercase();
    let mut nodes = HashMap::new();
    for (node, &at) in tables.iter().enumerate() {
        nodes.entry(folded(&schema.tables[at].name)).or_insert(node);
    }
    let parents = |&at: &usize| {
        let keys = schema.tables[at].foreign_keys.iter();
        let mut found: Vec<usize> = keys
            .filter_map(|key| nodes.get(&folded(&key.parent)).copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    tables.iter().map(parents).collect()
}

/// For every node the number of its strongly connected component (Tarjan's algorithm, its
/// recursion kept in `path`).
fn components(edges: &[Vec<usize>]) -> Vec<usize> {
    const UNSEEN: usize = usize::MAX;
    let mut index = vec![UNSEEN; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut component = vec![UNSEEN; edges.len()];
    let (mut stack, mut next_index, mut next_component) = (Vec::new(), 0, 0);
    for start in 0..edges.len() {
        if index[start] != UNSEEN {
            continue;
        }
        // Nodes being visited, each with the number of its edges that were followed.
        let mut path = vec![(start, 0)];
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            if index[node] == UNSEEN {
                (index[node], low[node]) = (next_index, next_index);
                next_index += 1;
                stack.push(node);
            }
            if let Some(&to) = edges[node].get(*followed) {
                *followed += 1;
                if index[to] == UNSEEN {
                    path.push((to, 0));
                } else if component[to] == UNSEEN {
                    low[node] = low[node].min(index[to]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == index[node] {
                while let Some(member) = stack.pop() {
                    component[member] = next_component;
                    if member == node {
                        break;
                    }
                }
                next_component += 1;
            }
        }
    }
    component
}

/// The smallest order by node number in which parents come first. References within a component
/// do not count, and it waits, and is waited for, as a whole: so whatever a table needs, directly
/// or not, comes before it. Without those references no cycle is left, and every node is reached.
fn order_of(parents: &[Vec<usize>], component: &[usize]) -> Vec<usize> {
    let count = component.iter().max().map_or(0, |last| last + 1);
    let mut members = vec![Vec::new(); count];
    let mut missing = vec![0_usize; count];
    let mut children = vec![Vec::new(); count];
    for (node, its_parents) in parents.iter().enumerate() {
        let own = component[node];
        members[own].push(node);
        for parent in its_parents.iter().map(|parent| component[*parent]) {
            if parent != own {
                missing[own] += 1;
                children[parent].push(own);
            }
        }
    }
    let mut left: Vec<usize> = members.iter().map(Vec::len).collect();
    let free = (0..count).filter(|number| missing[*number] == 0);
    let free = free.flat_map(|number| members[number].iter().copied());
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(Reverse).collect();
    let mut order = Vec::with_capacity(parents.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        left[component[node]] -= 1;
        if left[component[node]] > 0 {
            continue;
        }
        for &child in &children[component[node]] {
            missing[child] -= 1;
            if missing[child] == 0 {
                ready.extend(members[child].iter().copied().map(Reverse));
            }
        }
    }
    order
}

fn cycles_of(component: &[usize], tables: &[usize]) -> Vec<Vec<usize>> {
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for (node, &number) in component.iter().enumerate() {
        members.entry(number).or_default().push(tables[node]);
    }
    let mut cycles: Vec<Vec<usize>> = members.into_values().filter(|m| m.len() > 1).collect();
    cycles.sort_unstable();
    cycles
}

#[cfg(test)]
mod tests;
