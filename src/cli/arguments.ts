import { parseArgs } from 'node:util';
import { type CAC, cac } from 'cac';
import { check, LloydError } from '../gpu/errors.ts';
import type { Command, OptionDeclaration, OptionValue } from './command.ts';
import { commands } from './commands.ts';
import { closest } from './errors.ts';

const GLOBAL_OPTIONS: readonly OptionDeclaration[] = [
  ['--adapter <name>', 'auto, system (a software Vulkan) or swiftshader; LLOYD_ADAPTER does the same'],
  ['--json <file>', 'Write the result as JSON too'],
];

/** A command line, read: what to run, or that nothing is left to do but print. */
export type Parsed =
  | { command: Command; args: readonly string[]; options: Readonly<Record<string, OptionValue>> }
  | { show: 'help' | 'version'; of?: Command };

/** An option as it is typed: `--out` and `-o`, and whether a value follows. */
interface Flag {
  name: string;
  short?: string;
  takesValue: boolean;
  /** Given more than once, its values are one list. */
  repeats: boolean;
}

/**
 * Reads a command line (without node and script). Values stay the text that was typed: a file may be called 007.
 *
 * @throws LloydError for an unknown command or option, a missing value, or too many arguments
 */
export function parseArguments(argv: readonly string[]): Parsed {
  const [command, tokens] = match(argv);
  if (!command) return withoutCommand(argv);
  const flags = flagsOf(command);
  const name = nameOf(command);
  const options: Record<string, OptionValue> = {};
  const args: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') args.push(token.value);
    if (token.kind !== 'option') continue;
    if (isHelp(token.rawName)) return { show: 'help', of: command };
    const flag = flags.find((each) => each.name === dashed(token.name) || each.short === token.name);
    if (!flag) throw unknownOption(name, token.rawName, flags);
    const shown = `--${flag.name}`;
    const key = camelCased(flag.name);
    const again = Object.hasOwn(options, key);
    check(flag.repeats || !again, `${shown} may be given once`, token.value ?? true);
    if (!flag.takesValue) {
      check(token.value === undefined, `${shown} takes no value`, token.value);
      options[key] = true;
      continue;
    }
    // `--out --json x` forgot a value; a file that does begin with a dash can be told so.
    const forgotten = token.value === undefined || (!token.inlineValue && /^-./.test(token.value));
    if (forgotten) throw new LloydError(`${shown} needs a value`, token.value, `write ${shown}=VALUE`);
    options[key] = again ? `${options[key]},${token.value}` : token.value;
  }
  const positionals = args.slice(1);
  checkCount(command, positionals);
  return { command, args: positionals, options };
}

type Token =
  | { kind: 'positional'; value: string }
  | { kind: 'option'; name: string; rawName: string; value?: string; inlineValue?: boolean }
  | { kind: 'option-terminator' };

/** The command whose name comes first when its own options are read as such: `lloyd --json x compare` is compare. */
function match(argv: readonly string[]): [Command | undefined, readonly Token[]] {
  for (const command of commands) {
    const options = Object.fromEntries(
      flagsOf(command).map(({ name, short, takesValue }) => [
        name,
        { type: takesValue ? ('string' as const) : ('boolean' as const), ...(short && { short }) },
      ]),
    );
    const read = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
    if (read.positionals[0] === nameOf(command)) return [command, read.tokens as Token[]];
  }
  return [undefined, []];
}

function withoutCommand(argv: readonly string[]): Parsed {
  const { positionals, tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (isHelp(token.rawName)) return { show: 'help' };
    if (['--version', '-v', '-V'].includes(token.rawName)) return { show: 'version' };
  }
  const [first, second] = positionals;
  if (first === 'help') {
    const of = commands.find((command) => nameOf(command) === second);
    if (second !== undefined && !of) throw unknownCommand(second);
    return { show: 'help', of };
  }
  check(!argv[0]?.startsWith('-'), 'lloyd takes a command first', argv[0], 'see lloyd --help');
  if (first !== undefined) throw unknownCommand(first);
  return { show: 'help' };
}

const isHelp = (rawName: string) => rawName === '--help' || rawName === '-h';

function unknownCommand(given: string): LloydError {
  const names = commands.map(nameOf);
  const meant = closest(given, names);
  const cure = meant ? `did you mean ${meant}?` : 'see lloyd --help';
  return new LloydError(`commands are ${names.join(', ')}`, given, cure);
}

function unknownOption(command: string, given: string, flags: readonly Flag[]): LloydError {
  const meant = closest(
    given.replace(/^-+/, ''),
    flags.map(({ name }) => name),
  );
  const cure = meant ? `did you mean --${meant}?` : `see lloyd ${command} --help`;
  return new LloydError(`${command} has no such option`, given, cure);
}

function checkCount(command: Command, args: readonly string[]): void {
  const places = command.usage.split(' ').slice(1);
  const least = places.filter((place) => place.startsWith('<')).length;
  const most = places.at(-1)?.startsWith('[...') ? Number.POSITIVE_INFINITY : places.length;
  if (args.length >= least && args.length <= most) return;
  const name = nameOf(command);
  throw new LloydError(
    `${name} takes ${places.join(' ') || 'no arguments'}`,
    args.join(' ') || undefined,
    `${args.length === 0 ? 'received no arguments; ' : ''}see lloyd ${name} --help`,
  );
}

function flagsOf(command: Command): Flag[] {
  return [...command.options, ...GLOBAL_OPTIONS].map(([flags]) => {
    const [, short, name] = /^(?:-(\w), )?--([\w-]+)/.exec(flags)!;
    return { name, short, takesValue: flags.includes('<'), repeats: flags.endsWith('...>') };
  });
}

/** Prints help, of one command or of all; cac lays it out. */
export function printHelp(version: string, of?: Command): void {
  const cli: CAC = cac('lloyd');
  for (const command of commands) {
    const declared = cli.command(command.usage, command.description);
    for (const [flags, description, fallback] of [...command.options, ...GLOBAL_OPTIONS]) {
      declared.option(flags, fallback === undefined ? description : `${description} (default: ${fallback})`);
      // cac says that what is negated is so by default.
      declared.options.at(-1)!.config.default = undefined;
    }
    for (const example of command.examples) declared.example(`  $ ${example}`);
  }
  cli.help();
  cli.version(version);
  cli.parse(['node', 'lloyd', ...(of ? [nameOf(of)] : []), '--help'], { run: false });
}

const nameOf = (command: Command) => command.usage.split(' ')[0];
const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const camelCased = (name: string) => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
