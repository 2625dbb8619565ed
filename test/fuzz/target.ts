import type { Random } from './random.ts';

/** One thing that is fuzzed: how inputs are made, what reads them, and what may come out. */
export interface Target<Input = unknown> {
  name: string;
  /** Its part of a total number of inputs; 1 unless given, less where one input takes milliseconds. */
  share?: number;
  /** A file's reader (inputs are bytes, and grow a corpus), or something else of the public surface. */
  kind: 'reader' | 'surface';
  /** False where damaged bytes would hang another library before ours sees them: inputs are only made then. */
  grows?: boolean;
  /** What an input may take in processor time, where it is not 2 s. */
  slowMs?: number;
  /** Prepares what all inputs share; called once. */
  open?(): Promise<void>;
  /** A new input by the target's own grammar. */
  make(random: Random): Input;
  /** Gives it to the library. Returns what came out; a LloydError is a refusal, anything else that is thrown a finding. */
  run(input: Input): unknown;
  /** What is wrong with what came out: the format's rules, checked without the reader. */
  verify?(output: never, input: Input): string | undefined;
  /** A short text of the input, for a finding's report. */
  show?(input: Input): string;
  close?(): Promise<void> | void;
}

/** Thrown by a target whose input another library refused before ours saw it. */
export class Unbuildable extends Error {}
