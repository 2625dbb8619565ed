import { kernels } from 'lloyd';
import type { Calls, KernelSource } from '../protocol.ts';

/** The WGSL behind a dispatch, as `kernels` exports it. */
export async function source({ kernel }: Calls['source']['request']): Promise<KernelSource> {
  const found = Object.values(kernels).find(({ declaration }) => declaration.name === kernel);
  if (!found) throw new Error(`no kernel is called ${kernel}`);
  const { wgsl, bindings } = found.declaration;
  const described = Object.entries(bindings).map(([name, { access, type }]) => ({ name, access, type }));
  return { files: [...wgsl], bindings: described };
}
