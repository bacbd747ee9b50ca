/** What can be a parameter of a statement. */
export type SqlValue = string | number | null;

/**
 * Runs one statement, atomic by itself, written as a template: what stands in braces becomes a parameter, never text of the statement.
 * Gives the rows that the statement returns. For the tables that are touched now and then; those of plans have statements of their own.
 *
 * `now_ms()` in a statement is the database's clock in epoch milliseconds, `SELECT value FROM json_each(…)` the words of a JSON array.
 *
 * @throws UnavailableError
 */
export type Sql = <Row>(statement: TemplateStringsArray, ...values: SqlValue[]) => Promise<Row[]>;
