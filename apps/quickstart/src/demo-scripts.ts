/** What a host is told to do, and how many lines that will be, so that progress can be shown. */
export interface DemoScript {
  readonly title: string;
  readonly script: string;
  readonly lineCount: number;
}

// Pauses make the output arrive in pieces, as that of a real job does. Only what every POSIX system has is used.
const inventory = `#!/bin/sh
echo "I am $(whoami) on $(uname -n)"
sleep 0.9
uname -srm
sleep 0.8
uptime 2>/dev/null || echo "up since $(date)"
sleep 0.9
echo "this line goes to stderr" >&2
sleep 0.7
df -h / | tail -n 1
sleep 0.6
echo "inventory done"
`;

const update = `#!/bin/sh
echo "refreshing package lists (pretended)"
sleep 0.7
for package in openssl curl bash tzdata; do
  printf 'upgrading %s ' "$package"
  sleep 0.5
  printf '... '
  sleep 0.4
  echo ok
done
echo "4 packages upgraded"
`;

const backup = `#!/bin/sh
echo "backup started at $(date '+%H:%M:%S')"
for percent in 20 40 60 80 100; do
  sleep 0.9
  echo "backup $percent %"
done
echo "backup finished at $(date '+%H:%M:%S')"
`;

const scripts: readonly [DemoScript, ...DemoScript[]] = [
  { title: 'inventory', script: inventory, lineCount: 6 },
  { title: 'update', script: update, lineCount: 6 },
  { title: 'backup', script: backup, lineCount: 7 },
];

/** The n-th host's script, from 0. */
export function demoScript(index: number): DemoScript {
  return scripts[index % scripts.length] ?? scripts[0];
}
