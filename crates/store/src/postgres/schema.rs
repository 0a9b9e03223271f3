//! What the database holds, by version.

use agent_runtime::store::StoreError;
use tokio_postgres::{Client, GenericClient, types::Type};

use super::failure::Failure;

/// Makes each version of the one before; a step is never changed once it was released.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// The version of the schema that this one makes and knows.
const VERSION: i32 = MIGRATIONS.len() as i32;

/// The lock that one who makes tables holds.
const MAKING: i64 = 0x6167_7274_0000_0001;

/// Makes the tables or brings them to this version. A schema that is another program's is left as it is.
pub(super) async fn migrate(client: &mut Client, schema: &str) -> Result<(), Failure> {
    is_unicode(client).await?;
    if missing(client, schema).await?.is_empty() {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&MAKING, Type::INT8)]).await?;
    // Another process may have been at it.
    let steps = missing(&transaction, schema).await?;
    if !exists(&transaction, schema).await? {
        transaction.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    for step in steps {
        transaction.batch_execute(step).await?;
    }
    let sql = "INSERT INTO schema_version VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET version = excluded.version";
    transaction.execute_typed(sql, &[(&VERSION, Type::INT4)]).await?;
    Ok(transaction.commit().await?)
}

/// Events may have any character in them.
async fn is_unicode(client: &Client) -> Result<(), Failure> {
    let row = client.query_typed("SELECT current_setting('server_encoding')", &[]).await?;
    match row.first().map(|row| row.try_get::<_, &str>(0)).transpose()? {
        Some("UTF8") => Ok(()),
        found => Err(StoreError::incompatible(format!(
            "the database has the encoding {}, and events are Unicode; make one with `createdb --encoding=UTF8 --template=template0`",
            found.unwrap_or_default()
        ))
        .into()),
    }
}

/// The steps from the version of a schema to this one, if it is of ours or empty.
async fn missing(client: &impl GenericClient, schema: &str) -> Result<&'static [&'static str], Failure> {
    let sql = "SELECT to_regclass(format('%I.schema_version', $1)) IS NOT NULL, \
               EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident($1)))";
    let row = client.query_typed(sql, &[(&schema, Type::TEXT)]).await?;
    let (is_versioned, is_used) = match row.first() {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (false, false),
    };
    let version = match (is_versioned, is_used) {
        (true, _) => version(client).await?,
        (false, true) => None,
        (false, false) => Some(0),
    };
    let Some(version) = version else {
        let what = format!("the schema {schema:?} is another program's; name another one, which is made then");
        return Err(StoreError::incompatible(what).into());
    };
    let steps = usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..));
    Ok(steps.ok_or_else(|| {
        StoreError::incompatible(format!(
            "the tables in the schema {schema:?} have version {version}, this one knows up to {VERSION}; use the version \
             that wrote them, or a later one"
        ))
    })?)
}

async fn version(client: &impl GenericClient) -> Result<Option<i32>, Failure> {
    // Of ours is the one of these tables, and none with a table of this name.
    let sql = "SELECT (SELECT version FROM schema_version), to_regclass('state') IS NOT NULL AND to_regclass('epochs') \
               IS NOT NULL";
    let rows = client.query_typed(sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let is_ours: bool = row.try_get(1)?;
    Ok(row.try_get::<_, Option<i32>>(0)?.filter(|_| is_ours))
}

async fn exists(client: &impl GenericClient, schema: &str) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    Ok(!client.query_typed(sql, &[(&schema, Type::TEXT)]).await?.is_empty())
}
