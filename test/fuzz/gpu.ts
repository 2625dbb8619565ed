import { createRuntime, type Runtime } from '../../src/gpu/runtime.ts';

let runtime: Runtime | undefined;
let unheard: string[] = [];

/** The device of the targets that need one; errors that no scope of the library caught are kept. */
export async function openGpu(): Promise<void> {
  if (runtime) return;
  runtime = await createRuntime();
  runtime.device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    unheard.push((event as GPUUncapturedErrorEvent).error.message.split('\n')[0]);
  });
}

export function gpu(): Runtime {
  if (!runtime) throw new Error('openGpu first');
  return runtime;
}

/** The first GPU error since the last call that the library did not turn into one of its own. */
export function unheardError(): string | undefined {
  const [first] = unheard;
  unheard = [];
  return first && `a GPU error that nobody heard: ${first.replace(/\d+/g, 'N').slice(0, 120)}`;
}

export function closeGpu(): void {
  runtime?.destroy();
}
