import { shellQuote } from '../ssh/shell-quote.js';

/**
 * Owns: the POSIX shell text that runs on the host, and the words by which it reports.
 *
 * One session does it all. The login shell starts `/bin/sh`, which reads the *bootstrap* from its standard input, so that no value of a
 * job stands on a command line and any login shell will do. The bootstrap makes the job's directory and starts the *wrapper* by its
 * path, through the switch of user if there is one. The wrapper runs the script in a session of its own with nothing to read, obeys
 * `TERM` and `KILL` lines on the input, and removes what it made. Both report with marks, lines that start with a random word, and
 * after the mark `run` on both streams everything is the script's.
 *
 * Why control goes over the input: the wrapper runs as the effective user, and may therefore signal what the script started, which
 * the login user may not; and no second session, no process lookup and no permission is needed for it.
 *
 * Whoever sends more input than the program must wait for a mark first: some `head` read on past what they were asked for.
 */
export interface RemoteProgram {
  /** For the login shell. */
  readonly command: string;
  /** For the command's standard input. */
  readonly input: Buffer;
}

function program(lines: readonly string[]): RemoteProgram {
  // A function, so that a program whose end was lost with the connection does nothing at all.
  const input = Buffer.from(['main() {', ...lines, '}', 'main', ''].join('\n'));
  return { command: `exec /bin/sh -c 'eval "$(head -c ${input.length})"'`, input };
}

/** Values of one run. None of them may hold a line break. */
export interface RemoteRun {
  /** A random word that nothing else on the host knows; marks begin with it. */
  readonly nonce: string;
  /** Where the job's directory is made. */
  readonly workingDir: string;
  /** The job's directory. */
  readonly dir: string;
  /** Ends in a line break. With another user its size only is used: it is asked for with the mark `body`. */
  readonly script: string;
  readonly isCleanedUp: boolean;
  /** How long a group that was told to stop may live without a `KILL` from us, for when the connection is lost meanwhile. Seconds. */
  readonly graceSeconds: number;
  /** True where both streams arrive as one. */
  readonly hasTerminal: boolean;
  /** The command line that runs the wrapper at a path as another user, and the program that must exist for it. */
  readonly userSwitch: { readonly program: string; readonly commandLine: (path: string) => string } | undefined;
}

/** What makes the job's directory, runs the script and cleans up. */
export function jobProgram(run: RemoteRun): RemoteProgram {
  // With another user the path that is run stays `script`, because rules for sudo name it; that file is then the wrapper, which
  // holds nothing secret, and the script itself goes into a directory of the other user's: no ACLs, nobody else can read it.
  const isOther = run.userSwitch !== undefined;
  const wrapperPath = `${run.dir}/${isOther ? 'script' : 'script-wrapper'}`;
  const workingDir = shellQuote(run.workingDir);
  const files = isOther ? '"$W"' : '"$W" "$D/script"';
  const lines = [
    `N=${shellQuote(run.nonce)} D=${shellQuote(run.dir)} W=${shellQuote(wrapperPath)}`,
    'say() { printf "%s:%s\\n" "$N" "$1"; }',
    'fail() { say "fail $1"; rm -rf -- "$D"; exit 1; }',
    'trap : HUP INT TERM',
    'say begin; say begin >&2',
    `[ -d ${workingDir} ] || mkdir -p -- ${workingDir} || { say "fail dir"; exit 1; }`,
    `mkdir -m ${isOther ? '0711' : '0700'} -- "$D" || { say "fail dir"; exit 1; }`,
    `printf "%s" ${shellQuote(wrapper(run))} > "$W" || fail write`,
    ...(isOther ? [] : [`printf "%s" ${shellQuote(run.script)} > "$D/script" || fail write`]),
    `chmod ${isOther ? '0555' : '0500'} -- ${files} || fail write`,
    '[ -x "$W" ] || fail noexec',
    ...(run.userSwitch === undefined ? [] : [`command -v ${run.userSwitch.program} >/dev/null || fail no-program`]),
    'say switch',
    run.userSwitch === undefined ? '"$W"' : run.userSwitch.commandLine(wrapperPath),
    'rc=$?',
    ...(run.isCleanedUp ? ['rm -rf -- "$D"'] : []),
    'exit "$rc"',
  ];
  return program(lines);
}

// The subshell around the script is there because dash redirects itself, not only its child, and would then report a signal that ended
// the script into the script's output.
function wrapper(run: RemoteRun): string {
  const isOther = run.userSwitch !== undefined;
  const remove = isOther && run.isCleanedUp ? 'rm -rf -- "$B"' : ':';
  return `#!/bin/sh
N=${shellQuote(run.nonce)}
B=${shellQuote(isOther ? `${run.dir}-user` : run.dir)}
say() { printf '%s:%s\\n' "$N" "$1"; }
pause() { sleep 0.1 || sleep 1; }
trap : HUP INT TERM
${isOther ? fetchScript(run) : ''}g=-
if command -v setsid >/dev/null; then s=setsid
elif command -v perl >/dev/null; then s='perl -MPOSIX -e setsid();exec(@ARGV)'
else s=; g=
fi
say run${run.hasTerminal ? '' : '; say run >&2'}
exec 3<&0 4>&2 </dev/null 2>/dev/null
stop=
trap 'stop=1' USR1
(
  trap - USR1 HUP INT TERM
  exec >/dev/null 4>&-
  told=
  while read -r order <&3; do
    until [ -s "$B/pid" ]; do pause; done
    read -r p < "$B/pid"
    case $order in
      TERM) kill -s USR1 $$; kill -s TERM -- "$g$p"; told=1 ;;
      KILL) kill -s KILL -- "$g$p" ;;
    esac
  done
  [ -z "$told" ] || { sleep ${run.graceSeconds}; kill -s KILL -- "$g$p"; }
) &
r=$!
(exec $s /bin/sh -c 'echo $$ > "$1/pid"; exec "$1/script"' sh "$B" 2>&4 3<&- 4>&-)
rc=$?
if [ -n "$stop" ]; then
  read -r p < "$B/pid"
  n=0
  while kill -s 0 -- "$g$p" && [ $n -lt ${run.graceSeconds * 10} ]; do pause; n=$((n + 1)); done
  kill -s KILL -- "$g$p"
fi
kill -s KILL $r
echo $rc > "$B/exit_code"
${remove}
exit $rc
`;
}

/** As the other user: a directory of its own, beside the job's or in `/tmp`, with the script from the input. */
function fetchScript(run: RemoteRun): string {
  const size = Buffer.byteLength(run.script);
  return `fail() { say "fail $1"; rm -rf -- "$B"; exit 1; }
mkdir -m 0700 -- "$B" || { B=/tmp/\${B##*/}; mkdir -m 0700 -- "$B"; } || { say "fail user-dir"; exit 1; }
say body
head -c ${size} > "$B/script" || fail write
[ "$(wc -c < "$B/script")" -eq ${size} ] || fail short
chmod 0500 "$B/script" || fail write
[ -x "$B/script" ] || fail noexec
`;
}

/** Ends what a job left running and removes its directory: for when its own wrapper no longer answers. */
export function emergencyProgram(dir: string, isCleanedUp: boolean): RemoteProgram {
  const lines = [
    `D=${shellQuote(dir)}; p=`,
    '[ -s "$D/pid" ] && read -r p < "$D/pid"',
    '[ -z "$p" ] || kill -s KILL -- "-$p"',
    isCleanedUp ? 'rm -rf -- "$D"' : ':',
  ];
  return program(lines);
}
