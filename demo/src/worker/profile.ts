import { compile } from 'lloyd';
import { CIFAR10_IMAGE_BYTES } from 'lloyd/io';
import type { Calls, Profiled } from '../protocol.ts';
import type { Context } from './main.ts';
import { networkOf } from './state.ts';

/** The dispatches of one forward pass, each timed by the GPU where it can. */
export async function profile(
  { row, batch }: Calls['profile']['request'],
  { state, signal }: Context<'profile'>,
): Promise<Profiled> {
  const network = await networkOf(state, row);
  signal.throwIfAborted();
  const session = await compile(state.runtime, network, { batch });
  try {
    const pixels = new Uint8Array(batch * CIFAR10_IMAGE_BYTES);
    pixels.set(state.test.images.subarray(0, pixels.length));
    // The first pass pays for the driver's compilation of each pipeline.
    await session.profile(pixels);
    signal.throwIfAborted();
    const times = await session.profile(pixels);
    return {
      plan: session.plan(),
      milliseconds: times?.map(({ milliseconds }) => milliseconds) ?? null,
      batch,
      gpuBytes: session.gpuBytes,
    };
  } finally {
    session.destroy();
  }
}
