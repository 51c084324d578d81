use super::*;
use crate::model::schema::ForeignKey;
use proptest::prelude::*;

fn table(name: &str, parents: &[&str]) -> Table {
    let key = |(id, parent): (u32, &&str)| ForeignKey {
        id,
        parent: (*parent).to_owned(),
        columns: vec![("parent_id".to_owned(), None)],
        on_update: "NO ACTION".to_owned(),
        on_delete: "NO ACTION".to_owned(),
    };
    Table {
        name: name.to_owned(),
        kind: TableKind::Rowid {
            alias: None,
            rowid_name: None,
        },
        strict: false,
        shadow: false,
        autoincrement: false,
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        foreign_keys: (0..).zip(parents).map(key).collect(),
    }
}

fn schema(tables: Vec<Table>) -> Schema {
    Schema {
        encoding: crate::model::text::TextEncoding::Utf8,
        objects: Vec::new(),
        tables,
    }
}

fn names(order: &ImportOrder) -> Vec<&str> {
    order.tables.iter().map(|t| t.name.as_str()).collect()
}

#[test]
fn a_schema_written_parents_first_keeps_its_order() {
    // The references of examples/bakery.db.
    let bakery: [(&str, &[&str]); 16] = [
        ("suppliers", &[]),
        ("ingredients", &[]),
        ("products", &["ingredients"]),
        ("recipes", &["ingredients"]),
        ("purchases", &["suppliers", "products"]),
        ("inventory_items", &["purchases", "products"]),
        ("material_categories", &[]),
        ("material_subcategories", &["material_categories"]),
        ("materials", &["material_subcategories"]),
        ("material_products", &["suppliers", "materials"]),
        ("material_units", &["materials"]),
        ("material_purchases", &["suppliers", "material_products"]),
        ("finished_goods", &["recipes"]),
        ("events", &[]),
        ("production_runs", &["events", "recipes"]),
        ("inventory_depletions", &["inventory_items"]),
    ];
    let mut tables: Vec<Table> = bakery.iter().map(|(n, p)| table(n, p)).collect();
    tables.insert(5, table("sqlite_sequence", &[]));
    let order = import_order(&schema(tables));
    assert_eq!(names(&order), bakery.map(|(name, _)| name));
    assert_eq!(order.tables[4].import_order, 5);
    assert_eq!(order.tables[4].dependencies, ["suppliers", "products"]);
    assert!(order.cycles.is_empty());
}

#[test]
fn parents_come_first_and_names_compare_without_ascii_case() {
    let order = import_order(&schema(vec![
        table("child", &["PARENT", "parent", "gone"]),
        table("loner", &[]),
        table("Parent", &["Parent"]),
    ]));
    assert_eq!(names(&order), ["loner", "Parent", "child"]);
    assert_eq!(order.tables[2].dependencies, ["Parent"], "once, as created");
    assert!(order.tables[1].dependencies.is_empty() && order.tables[1].refers_to_itself);
    assert!(order.cycles.is_empty(), "a self reference is no circle");
}

#[test]
fn tables_on_a_cycle_keep_their_order_and_are_named() {
    let order = import_order(&schema(vec![
        table("user", &["cycle b"]),
        table("cycle a", &["cycle b", "root"]),
        table("between", &[]),
        table("cycle b", &["cycle a"]),
        table("root", &[]),
    ]));
    assert_eq!(order.cycles, [[1, 3]]);
    assert_eq!(
        names(&order),
        ["between", "root", "cycle a", "cycle b", "user"],
        "who refers to one of a cycle comes after all of it"
    );
}

#[test]
fn tables_without_records_of_their_own_are_left_out() {
    let mut virtual_table = table("notes_fts", &[]);
    virtual_table.kind = TableKind::Virtual;
    let mut shadow = table("notes_fts_data", &[]);
    shadow.shadow = true;
    let order = import_order(&schema(vec![
        virtual_table,
        shadow,
        table("SQLite_stat1", &[]),
        table("notes", &["notes_fts"]),
    ]));
    assert_eq!(names(&order), ["notes"]);
    assert_eq!(order.tables[0].table, 3);
    assert!(order.tables[0].dependencies.is_empty());
}

#[test]
fn a_very_long_chain_does_not_overflow_the_stack() {
    let count = 100_000;
    let links = (0..count).map(|n| table(&format!("t{n}"), &[&format!("t{}", n + 1)]));
    let order = import_order(&schema(links.collect()));
    assert_eq!(order.tables.len(), count);
    assert_eq!(order.tables[0].name, format!("t{}", count - 1));
}

/// True if `to` can be reached from `from`, by plain search: the oracle.
fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let (mut open, mut seen) = (vec![from], vec![false; edges.len()]);
    while let Some(node) = open.pop() {
        for &next in &edges[node] {
            if next == to {
                return true;
            }
            if !std::mem::replace(&mut seen[next], true) {
                open.push(next);
            }
        }
    }
    false
}

proptest! {
    /// Random graphs: all tables once, parents first unless parent and child reach each other,
    /// cycles exactly the tables that do.
    #[test]
    fn any_schema_is_ordered_parents_first(
        edges in (1_usize..12).prop_flat_map(|count| proptest::collection::vec(
            proptest::collection::vec(0..count, 0..4), count)),
    ) {
        let name = |node: &usize| format!("t{node}");
        let tables = edges.iter().enumerate().map(|(node, parents)| {
            let parents: Vec<String> = parents.iter().map(name).collect();
            let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
            table(&name(&node), &parents)
        });
        let order = import_order(&schema(tables.collect()));
        let mut place = vec![0; edges.len()];
        for placed in &order.tables {
            place[placed.table] = placed.import_order;
        }
        let mut sorted = place.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.iter().zip(1..).all(|(at, expected)| *at == expected));
        let cycle_of = |node| order.cycles.iter().position(|cycle| cycle.contains(&node));
        for child in 0..edges.len() {
            for parent in (0..edges.len()).filter(|parent| *parent != child) {
                if !reaches(&edges, child, parent) {
                    continue;
                }
                let mutual = reaches(&edges, parent, child);
                prop_assert!(mutual || place[parent] < place[child]);
                let together = cycle_of(child).is_some() && cycle_of(child) == cycle_of(parent);
                prop_assert_eq!(mutual, together);
            }
        }
    }
}
