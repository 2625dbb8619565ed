import { printable } from '../gpu/describe.ts';
import { createRuntime, type Runtime } from '../gpu/runtime.ts';
import { type Parsed, parseArguments, printHelp } from './arguments.ts';
import type { Context } from './command.ts';
import { explain, Interrupted, isInterruption } from './errors.ts';
import { packageVersion, readJson } from './files.ts';
import { createLedger, type Output } from './ledger.ts';
import { choice, text } from './options.ts';

const ADAPTERS = ['auto', 'system', 'swiftshader'] as const;

/** Runs one command line (without node and script) and returns the exit code; nothing is thrown. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Interrupted());
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const session = createSession(controller.signal);
  try {
    const parsed = parseArguments(argv);
    if ('show' in parsed) await show(parsed);
    else await session.run(parsed);
    return 0;
  } catch (error) {
    const interrupted = isInterruption(error, controller.signal);
    // An interrupted command has kept what it had: a pipe, which takes one result only, gets it now.
    const failure = interrupted ? await session.flush().catch((cause) => cause) : undefined;
    process.stderr.write(`${explain(failure ?? error, interrupted && !failure, session.written)}\n`);
    return interrupted && !failure ? 130 : 1;
  } finally {
    session.close();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function show(parsed: Extract<Parsed, { show: string }>): Promise<void> {
  const version = await packageVersion();
  if (parsed.show === 'help') printHelp(version, parsed.of);
  else console.info(`lloyd/${version} ${process.platform}-${process.arch} node-${process.version}`);
}

/** A command's context, and what outlives the command itself. */
function createSession(signal: AbortSignal) {
  const files = createLedger(signal);
  let opened: Promise<Runtime> | undefined;
  let kept: string | undefined;
  let json: Output | undefined;
  const save = async (content: string) => {
    kept = undefined;
    await json?.write(content);
  };
  return {
    written: files.written,
    async run({ command, args, options }: Exclude<Parsed, { show: string }>) {
      const adapter = choice('--adapter', options.adapter, ADAPTERS);
      const into = options.json === undefined && command.jsonFallback ? command.jsonFallback : 'json';
      const path = text(options[into]);
      if (path !== undefined) json = await files.claim(`--${into}`, path);
      const context: Context = {
        args,
        options,
        signal,
        files,
        print: (line = '') => {
          const stream = files.takesStdout ? process.stderr : process.stdout;
          stream.write(`${printable(line, { lines: true })}\n`);
        },
        note: (line) => void process.stderr.write(`${printable(line, { lines: true })}\n`),
        runtime: () => (opened ??= createRuntime({ adapter })),
        reopen() {
          const before = opened;
          opened = undefined;
          void before?.then((runtime) => runtime.destroy()).catch(() => {});
          return context.runtime();
        },
        async writeJson(result) {
          if (!json) return;
          // JSON has no Infinity: stringify makes it null, which readers take for "no noise at all" or "not measured".
          await save(`${JSON.stringify(result, null, 2)}\n`);
          context.note(`wrote ${json.path}`);
        },
        earlierJson: async () => (json?.replaceable ? readJson(json.path) : undefined),
        async keepJson(result) {
          if (!json) return;
          kept = `${JSON.stringify(result, null, 2)}\n`;
          if (json.replaceable) await save(kept);
        },
      };
      const { run } = await command.load();
      await run(context);
    },
    /** What `keepJson` was given and could not yet write. */
    flush: async () => (kept === undefined ? undefined : save(kept)),
    close() {
      void opened?.then((runtime) => runtime.destroy()).catch(() => {});
    },
  };
}
