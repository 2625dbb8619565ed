import { expect, test } from 'vitest';
import type { Context } from '../../src/cli/command.ts';
import { recovering } from '../../src/cli/recover.ts';
import { DeviceLostError } from '../../src/gpu/errors.ts';
import { createRuntime, type Runtime } from '../../src/gpu/runtime.ts';
import { linearQuantize } from '../../src/quantize/linear.ts';

test('a command goes on after one lost device and says so; a second loss ends it', async () => {
  let opened = await createRuntime();
  const notes: string[] = [];
  const context = {
    note: (line: string) => void notes.push(line),
    runtime: async () => opened,
    async reopen() {
      opened = await createRuntime();
      return opened;
    },
  } as unknown as Context;
  const device = await recovering(context);
  const seen: Runtime[] = [];
  const work = async (runtime: Runtime) => {
    seen.push(runtime);
    if (seen.length !== 2) runtime.device.destroy();
    return (await linearQuantize(runtime, Float32Array.of(1, -2, 0.5), { bits: 8 })).codes;
  };
  expect(await device.attempt(work)).toEqual(Int8Array.of(64, -127, 32));
  expect(seen[1]).toBe(opened);
  expect(device.runtime).toBe(opened);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(/the GPU device was lost .*starting again on a new one/);
  await expect(device.attempt(work)).rejects.toBeInstanceOf(DeviceLostError);
  expect(notes).toHaveLength(1);
});
