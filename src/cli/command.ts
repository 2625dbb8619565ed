import type { Runtime } from '../gpu/runtime.ts';
import type { Ledger } from './ledger.ts';

/** A value that an option was given: text as typed on a command line, or what one command passes to another. */
export type OptionValue = string | number | boolean | undefined;

/** An option as cac spells it: `-o, --out <file>`, and what it does; `--shape <symbol=n,...>` may be given again. */
export type OptionDeclaration = readonly [flags: string, description: string, fallback?: string];

/** What a command gets to work with. */
export interface Context {
  args: readonly string[];
  options: Readonly<Record<string, OptionValue>>;
  signal: AbortSignal;
  /** What is read and written: no output may be an input, or another output. */
  files: Ledger;
  /** Writes a line to stdout: results. */
  print(line?: string): void;
  /** Writes a line to stderr: what is going on. */
  note(line: string): void;
  /** The runtime on the adapter that `--adapter` asks for; opened on the first call, closed by the caller of `run`. */
  runtime(): Promise<Runtime>;
  /** Another one in its place, after its device was lost; to be asked for once. */
  reopen(): Promise<Runtime>;
  /** Writes what `--json FILE` asks for, if it was asked for. */
  writeJson(result: object): Promise<void>;
  /** What an earlier run left there, to go on from; undefined where that is nothing, or no JSON. */
  earlierJson(): Promise<unknown>;
  /** Writes there what there is so far, for an interruption; a pipe gets it only then. */
  keepJson(result: object): Promise<void>;
}

/** A subcommand: what `--help` shows, and its work, loaded when it runs. */
export interface Command {
  /** As cac spells it: `quantize <input>`; `[...files]` are as many as there are. */
  usage: string;
  description: string;
  options: readonly OptionDeclaration[];
  examples: readonly string[];
  /** The option whose file `--json` writes to where it names none itself. */
  jsonFallback?: string;
  load(): Promise<{ run(context: Context): Promise<void> }>;
}
