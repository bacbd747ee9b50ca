export const help = `Usage: npm run quickstart -- [options]

Installs and builds what is needed, starts the gateway (in memory), throwaway SSH hosts and a stand-in for
Foreman on this machine's loopback, runs a batch of jobs over SSH and shows the results. Nothing is left behind.

Options:
  --once        stop everything when the batch has ended; exit 0, or 1 if a host failed
  --port <n>    the gateway's port (default 8008; 0 takes a free one)
  --hosts <n>   how many SSH hosts, 1 to 50 (default 3)
  --built       run what was installed and built before, without looking whether it is up to date
  --help        show this

Examples:
  npm run quickstart                       keeps running until Ctrl-C, to look around
  npm run quickstart -- --once             for a first look, and for scripts
  npm run quickstart -- --port 8018        when something else has port 8008
  NO_COLOR=1 npm run quickstart -- --once  without colours
`;

const flags = { '--once': 'isOnce', '--built': 'isBuilt', '--help': 'isHelp', '-h': 'isHelp' };
const numbers = { '--port': { name: 'port', from: 0, to: 65535 }, '--hosts': { name: 'hostCount', from: 1, to: 50 } };

/**
 * Reads the command line. (Not node:util's parseArgs: a Node that is too old for it shall still be told so.)
 *
 * @throws {Error} that says what was expected
 */
export function parseOptions(args) {
  const options = { isOnce: false, isBuilt: false, isHelp: false, port: 8008, hostCount: 3 };
  for (let index = 0; index < args.length; index += 1) {
    const [name, inline] = args[index].split(/=(.*)/s);
    if (flags[name] && inline === undefined) {
      options[flags[name]] = true;
    } else if (numbers[name]) {
      const given = inline ?? args[(index += 1)];
      const { name: key, from, to } = numbers[name];
      if (!/^\d+$/.test(given ?? '') || Number(given) < from || Number(given) > to) {
        throw new Error(`${name}: expected a number from ${from} to ${to}${given === undefined ? '' : `, got "${given}"`}`);
      }
      options[key] = Number(given);
    } else {
      throw new Error(`unknown option "${args[index]}". There are --once, --port, --hosts, --built and --help.`);
    }
  }
  return options;
}
