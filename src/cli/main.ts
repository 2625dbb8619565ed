import { type CAC, cac } from 'cac';
import { check, LloydError } from '../gpu/errors.ts';
import { createRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Command, Context } from './command.ts';
import { commands } from './commands.ts';
import { closest, explain, Interrupted } from './errors.ts';
import { checkWritable, packageVersion, writeAtomically } from './files.ts';
import { choice, text } from './options.ts';

const GLOBAL_OPTIONS = [
  ['--adapter <name>', 'auto, system (a software Vulkan) or swiftshader; LLOYD_ADAPTER does the same'],
  ['--json <file>', 'Write the result as JSON too'],
] as const;

/** Runs one command line (without node and script) and returns the exit code; nothing is thrown. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Interrupted());
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  let opened: Runtime | undefined;
  try {
    const parsed = parse(await createParser(), argv);
    if (!parsed) return 0;
    const { command, args, options } = parsed;
    const json = text(options.json);
    if (json !== undefined) await checkWritable('--json', json);
    const context: Context = {
      args,
      options,
      signal: controller.signal,
      print: (line = '') => void process.stdout.write(`${line}\n`),
      note: (line) => void process.stderr.write(`${line}\n`),
      async runtime() {
        const adapter = choice('--adapter', options.adapter, ['auto', 'system', 'swiftshader']);
        opened ??= await createRuntime({ adapter });
        return opened;
      },
      async writeJson(result) {
        controller.signal.throwIfAborted();
        if (json === undefined) return;
        // JSON has no Infinity: stringify makes it null, which readers take for "no noise at all" or "not measured".
        await writeAtomically(json, `${JSON.stringify(result, null, 2)}\n`);
        process.stderr.write(`wrote ${json}\n`);
      },
    };
    const { run } = await command.load();
    await run(context);
    return 0;
  } catch (error) {
    const cause = controller.signal.aborted ? controller.signal.reason : error;
    process.stderr.write(`${explain(cause)}\n`);
    return cause instanceof Interrupted ? 130 : 1;
  } finally {
    opened?.destroy();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function createParser(): Promise<CAC> {
  const cli = cac('lloyd');
  for (const command of commands) {
    const declared = cli.command(command.usage, command.description);
    for (const [flags, description, fallback] of [...command.options, ...GLOBAL_OPTIONS]) {
      // Shown, not set: what was not given stays undefined for the command to decide.
      declared.option(flags, fallback === undefined ? description : `${description} (default: ${fallback})`);
    }
    for (const example of command.examples) declared.example(`  $ ${example}`);
  }
  cli.help();
  cli.version(await packageVersion());
  return cli;
}

function parse(cli: CAC, argv: readonly string[]) {
  // Read without running, so that mistakes are told in our own words.
  const parsed = cli.parse(['node', 'lloyd', ...argv], { run: false });
  if (parsed.options.help || parsed.options.version) return null;
  const matched = cli.matchedCommand;
  if (!matched) {
    const [given] = argv;
    if (given === undefined) {
      cli.outputHelp();
      return null;
    }
    const names = commands.map(nameOf);
    const meant = closest(given, names);
    throw new LloydError(
      `commands are ${names.join(', ')}`,
      given,
      meant ? `did you mean ${meant}?` : 'see lloyd --help',
    );
  }
  const { '--': rest, ...options } = parsed.options;
  for (const key of Object.keys(options)) {
    if (!matched.hasOption(key))
      throw unknownOption(
        matched.name,
        key,
        matched.options.map(({ name }) => name),
      );
    check(!Array.isArray(options[key]), `--${dashed(key)} may be given once`, options[key]);
  }
  matched.checkOptionValue();
  const least = matched.args.filter(({ required }) => required).length;
  if (parsed.args.length < least || parsed.args.length > matched.args.length) {
    const names = matched.args.map(({ value, required }) => (required ? `<${value}>` : `[${value}]`));
    throw new LloydError(
      `${matched.name} takes ${names.join(' ') || 'no arguments'}`,
      parsed.args.join(' ') || undefined,
      `${parsed.args.length === 0 ? 'received no arguments; ' : ''}see lloyd ${matched.name} --help`,
    );
  }
  const command = commands.find((candidate) => nameOf(candidate) === matched.name) as Command;
  return { command, args: parsed.args.map(String), options };
}

function unknownOption(command: string, key: string, known: readonly string[]): LloydError {
  const flag = key.length === 1 ? `-${key}` : `--${dashed(key)}`;
  const meant = closest(key, known);
  return new LloydError(
    `${command} has no such option`,
    flag,
    meant ? `did you mean --${dashed(meant)}?` : `see lloyd ${command} --help`,
  );
}

const nameOf = (command: Command) => command.usage.split(' ')[0];
const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
