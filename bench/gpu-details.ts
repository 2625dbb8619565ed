import { tensorCores } from '../src/conv/tensor-cores.ts';
import { compile } from '../src/run/session.ts';
import { quantizedVgg } from './cases/vgg.ts';
import { measureTensorCores } from './ceilings.ts';
import type { BenchContext, GpuDetails } from './types.ts';

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
] as const;

/** What tuning for an adapter starts from: its features and limits, and where each precision's forward spends its time. */
export async function gpuDetails(context: BenchContext, batch: number): Promise<GpuDetails> {
  const { device } = context.runtime;
  const profiles: GpuDetails['profiles'] = {};
  for (const precision of ['fp32', 'kmeans-4', 'int8', 'int4'] as const) {
    const session = await compile(context.runtime, await quantizedVgg(context, precision), { batch });
    try {
      const plan = session.plan();
      const images = await context.images(batch);
      await session.profile(images);
      const times = await session.profile(images);
      if (!times) continue;
      profiles[precision] = times.map(({ layer, kernel, milliseconds }, index) => ({
        layer,
        kernel,
        milliseconds,
        gops: milliseconds > 0 ? (2 * plan[index].macs) / milliseconds / 1e6 : 0,
        workgroups: plan[index].workgroups,
        specialization: plan[index].specialization,
      }));
    } finally {
      session.destroy();
    }
  }
  const { cores, reason } = await tensorCores(context.runtime);
  return {
    tensorCores: cores ? { ...cores, gops: await measureTensorCores(device, cores) } : { reason },
    features: [...device.features].sort(),
    limits: Object.fromEntries(LIMITS.map((name) => [name, device.limits[name]])),
    batch,
    profiles,
  };
}
