//! Benchmarks without a server: statements, trust, and the decisions of the keeper.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use diesel::mysql::Mysql;
use diesel::pg::Pg;
use diesel::query_builder::QueryFragment;
use diesel::sqlite::Sqlite;
use diesel_locks::Lock;
use diesel_locks::bench::{Keeper, lease};
use diesel_locks::statement::Statement;

fn statements(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statements");
    group.bench_function("a lock from its name", |bench| {
        bench.iter(|| Lock::new(black_box("invoice:42")).unwrap());
    });
    let lock = Lock::new("invoice:42").unwrap();
    group.bench_function("a statement from its lock", |bench| {
        bench.iter(|| Statement::look(black_box(&lock)));
    });
    group.bench_function("the text for PostgreSQL", |bench| {
        let statement = Statement::acquire(&lock).unwrap();
        bench.iter(|| text::<Pg>(&statement));
    });
    group.bench_function("the text for MySQL", |bench| {
        let statement = Statement::look(&lock);
        bench.iter(|| text::<Mysql>(&statement));
    });
    group.bench_function("the text for SQLite", |bench| {
        let statement = Statement::look(&lock);
        bench.iter(|| text::<Sqlite>(&statement));
    });
    group.finish();
}

fn text<DB>(statement: &impl QueryFragment<DB>) -> String
where
    DB: diesel::backend::Backend + Default,
    DB::QueryBuilder: Default,
{
    use diesel::query_builder::QueryBuilder;
    let mut builder = DB::QueryBuilder::default();
    statement.to_sql(&mut builder, &DB::default()).unwrap();
    builder.finish()
}

fn trust(criterion: &mut Criterion) {
    let lease = lease("invoice:42").unwrap();
    criterion.bench_function("trust: what is left of a lease", |bench| {
        bench.iter(|| black_box(&lease).trusted_for());
    });
    let text = lease.to_text();
    criterion.bench_function("a lease from its text", |bench| {
        bench.iter(|| black_box(&text).parse::<diesel_locks::Lease>().unwrap());
    });
}

fn keeper(criterion: &mut Criterion) {
    const LEASES: usize = 100_000;
    let mut keeper = Keeper::with(LEASES).unwrap();
    criterion.bench_function(
        "keeper: a look at 100,000 leases of which none is due",
        |bench| {
            bench.iter(|| assert_eq!(keeper.look(), 0));
        },
    );
    let mut group = criterion.benchmark_group("keeper");
    group.sample_size(20);
    group.bench_function("a beat of 100,000 leases", |bench| {
        bench.iter(|| assert_eq!(keeper.beat(), LEASES));
    });
    group.finish();
}

criterion_group!(benches, statements, trust, keeper);
criterion_main!(benches);
