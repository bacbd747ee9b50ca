import { shellQuote } from '../ssh/shell-quote.js';

/**
 * Owns: the POSIX shell text that runs on the host, and the words by which it reports.
 *
 * One session does it all: the login shell starts `remoteCommand`, which is the same for every job and holds no value of any job; that
 * reads the *bootstrap* from its standard input, up to a line `#end`, byte by byte, so that what follows on the input is untouched.
 * The bootstrap makes the job's directory and starts the *wrapper* by its path, through the switch of user if there is one. The wrapper
 * takes the script from the input, runs it in a session of its own with nothing to read, obeys `TERM` and `KILL` lines on the input,
 * and removes what it made. All report with marks, lines that start with a random word, and after the mark `run` on both streams
 * everything is the script's.
 *
 * Why control goes over the input: the wrapper runs as the effective user, and may therefore signal what the script started, which
 * the login user may not; and no second session, no process lookup and no permission is needed for it.
 */
export const remoteCommand = 'exec /bin/sh -c \'eval "$(while IFS= read -r l && [ "$l" != "#end" ]; do printf "%s\\n" "$l"; done)"\'';

/** Ends the bootstrap on the standard input. */
export const END_OF_BOOTSTRAP = '#end\n';

/** Values of one run. None of them may hold a line break. */
export interface RemoteRun {
  /** A random word that nothing else on the host knows; marks begin with it. */
  readonly nonce: string;
  /** Where the job's directory is made. */
  readonly workingDir: string;
  /** The job's directory. */
  readonly dir: string;
  /** How many bytes of script follow on the input. */
  readonly scriptSize: number;
  readonly isCleanedUp: boolean;
  /** How long a group that was told to stop may live without a `KILL` from us, for when the connection is lost meanwhile. Seconds. */
  readonly graceSeconds: number;
  /** True where both streams arrive as one. */
  readonly hasTerminal: boolean;
  /** The command line that runs the wrapper at a path as another user, and the program that must exist for it. */
  readonly userSwitch: { readonly program: string; readonly commandLine: (path: string) => string } | undefined;
}

/** The text that follows the command on its standard input, `END_OF_BOOTSTRAP` included. */
export function bootstrap(run: RemoteRun): string {
  const dir = shellQuote(run.dir);
  // With another user the path that is run stays `script`, because rules for sudo name it; that file is then the wrapper, which
  // holds nothing secret, and the script itself goes into a directory of the other user's: no ACLs, nobody else can read it.
  const wrapperPath = `${run.dir}/${run.userSwitch === undefined ? 'script-wrapper' : 'script'}`;
  const mode = run.userSwitch === undefined ? { dir: '0700', file: '0500' } : { dir: '0711', file: '0555' };
  const start = run.userSwitch === undefined ? shellQuote(wrapperPath) : run.userSwitch.commandLine(wrapperPath);
  return (
    [
      `N=${shellQuote(run.nonce)}; D=${dir}; W=${shellQuote(wrapperPath)}`,
      'say() { printf "%s:%s\\n" "$N" "$1"; }',
      `fail() { say "fail $1"; rm -rf -- "$D"; exit 1; }`,
      'trap : HUP INT TERM',
      'say begin; say begin >&2',
      `[ -d ${shellQuote(run.workingDir)} ] || mkdir -p -- ${shellQuote(run.workingDir)} || { say "fail dir"; exit 1; }`,
      `mkdir -m ${mode.dir} -- "$D" || { say "fail dir"; exit 1; }`,
      `printf "%s" ${shellQuote(wrapper(run))} > "$W" || fail write`,
      `chmod ${mode.file} -- "$W" || fail write`,
      '[ -x "$W" ] || fail noexec',
      ...(run.userSwitch === undefined ? [] : [`command -v ${run.userSwitch.program} >/dev/null || fail no-program`]),
      'say switch',
      `${start}`,
      'rc=$?',
      ...(run.isCleanedUp ? ['rm -rf -- "$D"'] : []),
      'exit "$rc"',
      '',
    ].join('\n') + END_OF_BOOTSTRAP
  );
}

// The subshell around the script is there because dash redirects itself, not only its child, and would then report a signal that ended
// the script into the script's output.
function wrapper(run: RemoteRun): string {
  const own = run.userSwitch !== undefined;
  const remove = own && run.isCleanedUp ? 'rm -rf -- "$B"' : ':';
  return `#!/bin/sh
N=${shellQuote(run.nonce)}
B=${shellQuote(own ? `${run.dir}-user` : run.dir)}
say() { printf '%s:%s\\n' "$N" "$1"; }
fail() { say "fail $1"; ${own ? 'rm -rf -- "$B"; ' : ''}exit 1; }
pause() { sleep 0.1 || sleep 1; }
trap : HUP INT TERM
${own ? 'mkdir -m 0700 -- "$B" || { B=/tmp/${B##*/}; mkdir -m 0700 -- "$B"; } || { say "fail user-dir"; exit 1; }\n' : ''}say body
head -c ${run.scriptSize} > "$B/script" || fail write
[ "$(wc -c < "$B/script")" -eq ${run.scriptSize} ] || fail short
chmod 0500 "$B/script" || fail write
[ -x "$B/script" ] || fail noexec
g=-
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

/** Ends what a job left running and removes its directory: for when its own wrapper no longer answers. */
export function emergencyProgram(dir: string, isCleanedUp: boolean): string {
  const quoted = shellQuote(dir);
  const remove = isCleanedUp ? `rm -rf -- ${quoted}` : ':';
  return `D=${quoted}; p=; [ -s "$D/pid" ] && read -r p < "$D/pid"; [ -z "$p" ] || kill -s KILL -- "-$p"; ${remove}\n${END_OF_BOOTSTRAP}`;
}
