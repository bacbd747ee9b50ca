// What happens meanwhile: one line that is rewritten each second on a terminal; elsewhere a line now and then.
const isTerminal = process.stdout.isTTY === true && !process.env.CI;
const plainEveryMs = 30_000;

let current;

/** Prints a line of its own, above a progress line if there is one. */
export function say(text = '') {
  if (isTerminal && current) process.stdout.write('\r\x1b[K');
  process.stdout.write(`${text}\n`);
  draw();
}

/**
 * Shows `describe(seconds)` until the returned function is called. Without a terminal the line appears every 30 seconds only,
 * so say what starts before.
 */
export function showProgress(describe) {
  const startedAt = Date.now();
  const line = () => describe(Math.round((Date.now() - startedAt) / 1000));
  current = line;
  draw();
  const timer = setInterval(() => (isTerminal ? draw() : say(line())), isTerminal ? 1_000 : plainEveryMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    if (isTerminal) process.stdout.write('\r\x1b[K');
    current = undefined;
  };
}

function draw() {
  if (!isTerminal || !current) return;
  process.stdout.write(`\r\x1b[K${current().slice(0, (process.stdout.columns || 80) - 1)}`);
}
