import { openDatabase } from '@dynflow/persistence';

/** Opens a database and says what came of it in one line. */
export async function main([url = '']: string[]): Promise<void> {
  try {
    const database = await openDatabase({ url });
    await database.close();
    process.stdout.write('opened\n');
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? `${error.name}: ${error.message}` : 'no error'}\n`);
  }
}
