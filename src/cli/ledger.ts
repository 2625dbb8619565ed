import { LloydError } from '../gpu/errors.ts';
import { isReplaceable, placeToWrite, readInput, writeAtomically } from './files.ts';
import { isSame, locate, type Place, placeOfDescriptor } from './place.ts';

/** A file that a command will write: claimed before the work, written after it. */
export interface Output {
  readonly path: string;
  /** Whether writing it again replaces it; a pipe or device would get both. */
  readonly replaceable: boolean;
  write(content: string | Uint8Array): Promise<void>;
}

/**
 * What a command reads and writes. No output may be a file that is read, nor another output's, however its path is
 * spelled; whichever of the two comes second is refused, and nothing is written before both have been seen.
 */
export interface Ledger {
  /** Notes a file that is read, here or elsewhere. */
  reads(path: string): Promise<void>;
  /** Notes an input and returns its bytes. */
  read(path: string): Promise<Uint8Array>;
  /** Notes an output that `flag` names, after checking that it can be written. */
  claim(flag: string, path: string): Promise<Output>;
  /** Whether a path is no file that is read, nor an output. */
  isFree(path: string): Promise<boolean>;
  /** Whether an output takes stdout for itself, so that nothing else may be printed there. */
  readonly takesStdout: boolean;
  /** The outputs written so far, by their paths. */
  readonly written: Set<string>;
}

interface Claim {
  what: string;
  place: Place;
}

/** What a shell's `>` writes to while the command prints. */
const STREAMS = [
  { what: 'what stdout is sent to', descriptor: 1 },
  { what: 'what stderr is sent to', descriptor: 2 },
];

/** A new ledger; `written` is another's where its outputs count there too. */
export function createLedger(signal?: AbortSignal, written = new Set<string>()): Ledger {
  const streams = STREAMS.flatMap(({ what, descriptor }) => {
    const place = placeOfDescriptor(descriptor);
    return place ? [{ what, place }] : [];
  });
  const inputs: Place[] = [];
  const outputs: Claim[] = [];
  let takesStdout = false;

  /** What of this command's a place is. Outputs are looked up again: writing one makes a new file of it. */
  const clash = async (place: Place): Promise<string | null> => {
    for (const input of inputs) if (await isSame(input, place)) return 'the input';
    for (const { what, place: claimed } of outputs) {
      if ((await isSame(claimed, place)) || (await isSame(await locate(claimed.path), place))) return what;
    }
    // `--json /dev/stdout` is stdout: only another name of the file behind it is a mistake.
    if (place.descriptor !== null) return null;
    for (const { what, place: stream } of streams) if (await isSame(stream, place)) return what;
    return null;
  };

  const self: Ledger = {
    async reads(path) {
      const place = await locate(path);
      for (const { what, place: claimed } of outputs) {
        if (await isSame(claimed, place))
          throw new LloydError(`${what} must be another file than the input`, path);
      }
      inputs.push(place);
    },
    async read(path) {
      await self.reads(path);
      return readInput(path);
    },
    async claim(flag, path) {
      const place = await placeToWrite(flag, path);
      const other = await clash(place);
      if (other !== null) throw new LloydError(`${flag} must be another file than ${other}`, path);
      outputs.push({ what: flag, place });
      if (place.descriptor === 1) takesStdout = true;
      return {
        path,
        replaceable: isReplaceable(place),
        async write(content) {
          // Links may have been turned round, and inputs added, since the claim.
          const now = await locate(path);
          for (const input of inputs) {
            if (await isSame(input, now))
              throw new LloydError(`${flag} must be another file than the input`, path);
          }
          await writeAtomically(path, content, signal);
          written.add(path);
        },
      };
    },
    isFree: async (path) => (await clash(await locate(path))) === null,
    get takesStdout() {
      return takesStdout;
    },
    written,
  };
  return self;
}
