import { bind } from './bind.ts';
import type {
  Bindings,
  CompiledKernel,
  Kernel,
  KernelDeclaration,
  ParamTypes,
  Specialization,
} from './declaration.ts';
import { TEXELS } from './declaration.ts';
import { check, isDevice, LloydError } from './errors.ts';
import { guardOf } from './guard.ts';

export type {
  BindingDeclaration,
  BufferSlice,
  CompiledKernel,
  ElementType,
  Kernel,
  KernelDeclaration,
  OverrideDeclaration,
  ParamValues,
  Resource,
  Specialization,
} from './declaration.ts';
export { TEXELS } from './declaration.ts';

/** By the declaration itself: names are the caller's, and two kernels may share one. */
const compiled = new WeakMap<GPUDevice, WeakMap<object, Specializations>>();
type Specializations = Map<string, Promise<CompiledKernel>>;

function entryOf<K extends object, V>(map: WeakMap<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/**
 * Declares a kernel: the typed half of a hand-written `.wgsl`.
 *
 * @example
 * const scale = defineKernel({
 *   name: 'scale', wgsl: [source], params: { count: 'u32' },
 *   bindings: { input: { access: 'read', type: 'f32' }, output: { access: 'write', type: 'f32' } },
 *   overrides: { WORKGROUP_SIZE: { default: 256 } },
 *   workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
 * });
 * const call = (await scale.create(device)).bind({ input, output }, { count: 1024 });
 */
export function defineKernel<const B extends Bindings, const P extends ParamTypes>(
  declaration: KernelDeclaration<B, P>,
): Kernel<B, P> {
  return {
    declaration,
    async create(device, specialization = {}) {
      check(
        isDevice(device),
        `${declaration.name} is created for a GPUDevice`,
        device,
        'pass runtime.device, or your own device',
      );
      const key = JSON.stringify(Object.entries(specialization).sort());
      const perDevice = entryOf(compiled, device, () => new WeakMap<object, Specializations>());
      const own: Specializations = entryOf(perDevice, declaration, () => new Map());
      let promise = own.get(key);
      if (!promise) {
        promise = compile(device, declaration as never, specialization);
        own.set(key, promise);
        promise.catch(() => own.delete(key));
      }
      return promise as unknown as Promise<CompiledKernel<B, P>>;
    },
  };
}

/** The WGSL a specialization compiles: libraries, kernel, and the replaced `alias`/`const` lines. */
export function assembleSource(
  declaration: Pick<KernelDeclaration<Bindings, ParamTypes>, 'name' | 'wgsl' | 'constants'>,
  specialization: Specialization = {},
): string {
  let source = declaration.wgsl.join('\n');
  for (const [name, allowed] of Object.entries(declaration.constants ?? {})) {
    const value = specialization[name];
    if (value === undefined) continue;
    check(
      allowed.length === 0 || allowed.includes(String(value)),
      `${declaration.name}: ${name} must be one of ${allowed.join(', ')}`,
      value,
    );
    const line = new RegExp(`^((?:alias|const)\\s+${name}\\b[^=]*=)[^;]*;`, 'm');
    check(
      line.test(source),
      `${declaration.name}: the WGSL declares no top-level alias or const ${name}`,
      name,
    );
    source = source.replace(line, `$1 ${value};`);
  }
  return source;
}

async function compile(
  device: GPUDevice,
  declaration: KernelDeclaration<Bindings, ParamTypes>,
  specialization: Specialization,
): Promise<CompiledKernel> {
  const { name, bindings, params } = declaration;
  const overrides = resolveOverrides(declaration, specialization);
  for (const feature of declaration.requires ?? []) {
    check(
      device.features.has(feature as GPUFeatureName),
      `${name} needs the device feature ${feature}`,
      [...device.features].join(' ') || 'no features',
      'request it in requiredFeatures, or choose another variant of the kernel',
    );
  }
  const code = assembleSource(declaration, specialization);
  const constants: Record<string, number> = {};
  for (const [key, value] of Object.entries(overrides)) {
    if (new RegExp(`^\\s*(@id\\(\\d+\\)\\s*)?override\\s+${key}\\b`, 'm').test(code)) constants[key] = value;
  }
  const hasParams = Object.keys(params).length > 0;
  const entries: GPUBindGroupLayoutEntry[] = Object.values(bindings).map(({ access, type }, index) => ({
    binding: index + (hasParams ? 1 : 0),
    visibility: GPUShaderStage.COMPUTE,
    ...(type.startsWith('texture')
      ? { texture: { sampleType: type === TEXELS ? 'uint' : 'unfilterable-float' } }
      : { buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' } }),
  }));
  if (hasParams)
    entries.unshift({ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } });
  const guard = guardOf(device);
  const { value, fault } = guard.watch(`the pipeline of ${name}`, () => {
    const layout = device.createBindGroupLayout({ label: name, entries });
    const module = device.createShaderModule({ label: name, code });
    const pipelineLayout = device.createPipelineLayout({ label: name, bindGroupLayouts: [layout] });
    return { layout, module, pipelineLayout };
  });
  const { layout, module, pipelineLayout } = value;
  let pipeline: GPUComputePipeline;
  try {
    pipeline = await guard.until(`the pipeline of ${name}`, () =>
      device.createComputePipelineAsync({
        label: name,
        layout: pipelineLayout,
        compute: { module, constants },
      }),
    );
    const failure = await fault;
    if (failure) throw failure;
    guard.alive();
  } catch (error) {
    const cause = (error as LloydError).cause as Partial<GPUPipelineError> | undefined;
    if (cause?.reason !== 'validation') throw error;
    const { messages } = await guard
      .until(`the compiler's messages of ${name}`, () => module.getCompilationInfo())
      .catch(() => ({ messages: [] }));
    const lines = messages.map((m) => `  ${m.lineNum}:${m.linePos} ${m.type}: ${m.message}`).join('\n');
    const numbered = code
      .split('\n')
      .map((line, i) => `${String(i + 1).padStart(4)} ${line}`)
      .join('\n');
    throw new LloydError(
      `${name} does not compile with ${JSON.stringify(constants)}: ${cause.message}\n${lines}\n${numbered}`,
      undefined,
      undefined,
      { cause },
    );
  }
  return {
    name,
    specialization: { ...specialization, ...overrides },
    pipeline,
    bind: (buffers, values) => bind(device, declaration, overrides, pipeline, layout, buffers, values),
  };
}

function resolveOverrides(
  { name, overrides = {}, constants = {} }: KernelDeclaration<Bindings, ParamTypes>,
  specialization: Specialization,
): Record<string, number> {
  const values = Object.fromEntries(Object.entries(overrides).map(([key, o]) => [key, o.default]));
  for (const [key, value] of Object.entries(specialization)) {
    if (key in constants) {
      const number = Number.parseFloat(String(value));
      if (!Number.isNaN(number)) values[key] = number;
      continue;
    }
    const known = [...Object.keys(overrides), ...Object.keys(constants)].join(', ') || 'none';
    check(key in overrides, `${name} has no override or constant of that name (it has: ${known})`, key);
    const { allowed } = overrides[key];
    check(
      typeof value === 'number' && (!allowed || allowed.includes(value)),
      `${name}: ${key} must be ${allowed ? `one of ${allowed.join(', ')}` : 'a number'}`,
      value,
    );
    values[key] = value;
  }
  return values;
}
