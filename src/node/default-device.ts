import { constants } from 'node:os';
import { join } from 'node:path';
import { type AcquiredDevice, type DeviceRequest, deviceDescriptor } from '../gpu/device.ts';
import { check, LloydError } from '../gpu/errors.ts';
import { unpackSwiftshader } from './chromium-package.ts';
import { spreadPolls } from './polling.ts';

export { readTuning, writeTuning } from './tuning-text.ts';

const CHOICES = ['auto', 'system', 'swiftshader'] as const;
type Choice = (typeof CHOICES)[number];
type Source = AcquiredDevice['source'];

const DAWN_FLAGS = [
  // Dawn holds f16 back on NVIDIA's Vulkan driver for conformance bugs outside compute; elsewhere the toggle does nothing.
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  // Timestamps otherwise come in steps of 65.5 us, longer than most kernels.
  'disable-dawn-features=timestamp_quantization',
];

/** glibc's RTLD_NODELETE, which `os.constants.dlopen` lacks. */
const RTLD_NODELETE = 0x1000;

/** Both name the driver list of the Vulkan loader; the first hides the second, which older loaders read. */
const DRIVER_VARIABLES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'] as const;

interface Found {
  gpu: GPU;
  source: Source;
}

interface Pinned {
  /** A collected `create()` result takes the process down at the next garbage collection (dawn.node 0.6, seen 2026-09). */
  instances: GPU[];
  found: Map<Choice, Promise<Found>>;
}

/**
 * A WebGPU device in Node, through the optional package `webgpu` (Dawn).
 *
 * Adapters are tried in order: hardware; the system's software Vulkan (Mesa's lavapipe, 24 or newer); SwiftShader out
 * of the optional package `@sparticuz/chromium` (Linux x64). The environment variable `LLOYD_ADAPTER` forces one where
 * `request.adapter` does not. Dawn's classes (GPUBuffer, GPUBufferUsage, ...) are assigned to `globalThis`.
 *
 * @param request which adapter; `powerPreference` is 'high-performance' unless given
 * @returns a device with every limit and feature that this library uses, the adapter's description, its source
 * @throws LloydError when `webgpu` is not installed, the adapter's name is unknown, or there is no such adapter
 * @example
 * const { device, info, source } = await requestDefaultDevice();
 * console.log(`${info.description} (${source})`);
 */
export async function requestDefaultDevice(request: DeviceRequest = {}): Promise<AcquiredDevice> {
  const { gpu, source } = await findGpu(request);
  const powerPreference = request.powerPreference ?? 'high-performance';
  const adapter = await usableAdapter(gpu, powerPreference);
  if (!adapter) throw noAdapter('auto', ['the adapter found before is gone']);
  return { device: await adapter.requestDevice(deviceDescriptor(adapter)), info: adapter.info, source };
}

/** Dawn's GPU object whose adapters are the ones asked for; the same one for every call of a process. */
export function findGpu(request: DeviceRequest = {}): Promise<Found> {
  const choice = readChoice(request.adapter);
  const { found } = pinned();
  let promise = found.get(choice);
  if (!promise) {
    // One after another: the choices differ in environment variables, which are the whole process's.
    const before = Promise.allSettled(found.values());
    promise = before.then(async () => {
      const chosen = await choose(choice);
      if (chosen.source !== 'hardware') spreadPolls();
      return chosen;
    });
    found.set(choice, promise);
    promise.catch(() => found.delete(choice));
  }
  return promise;
}

function pinned(): Pinned {
  const key = Symbol.for('lloyd.dawn');
  const home = globalThis as { [key]?: Pinned };
  home[key] ??= { instances: [], found: new Map() };
  return home[key];
}

function readChoice(asked: string | undefined): Choice {
  const choice = asked ?? (process.env.LLOYD_ADAPTER || 'auto');
  const from = asked === undefined ? 'LLOYD_ADAPTER' : 'adapter';
  check(CHOICES.includes(choice as Choice), `${from} must be one of ${CHOICES.join(', ')}`, choice);
  return choice as Choice;
}

async function choose(choice: Choice): Promise<Found> {
  const create = await loadDawn();
  const tried: string[] = [];
  if (choice !== 'swiftshader') {
    const gpu = create([]);
    const adapter = await usableAdapter(gpu, 'high-performance');
    const source = adapter && sourceOf(adapter.info);
    tried.push(`the system's adapters: ${adapter ? adapter.info.description : 'none that Dawn accepts'}`);
    if (source && (choice === 'auto' || source === 'system-software')) return { gpu, source };
  }
  if (choice === 'system') {
    const gpu = attempt(() => create(['adapter=llvmpipe']));
    if (gpu && (await usableAdapter(gpu, 'high-performance'))) return { gpu, source: 'system-software' };
    tried.push('an adapter named llvmpipe: none');
  }
  if (choice !== 'system') {
    const gpu = await createSwiftshader(create, tried);
    if (gpu) return { gpu, source: 'swiftshader' };
  }
  throw noAdapter(choice, tried);
}

type Create = (flags: string[]) => GPU;

async function loadDawn(): Promise<Create> {
  try {
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    return (flags) => {
      const gpu = create([...DAWN_FLAGS, ...flags]);
      pinned().instances.push(gpu);
      return gpu;
    };
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    throw new LloydError(
      "WebGPU in Node needs the package 'webgpu'",
      missing ? 'no such package' : message,
      missing
        ? 'run: npm install webgpu'
        : 'it has builds for Linux, macOS and Windows on x64 and arm64; see its README',
      { cause },
    );
  }
}

/** The adapter, unless there is none or it is Dawn's null backend, which computes nothing and would pass for a GPU. */
async function usableAdapter(gpu: GPU, powerPreference: GPUPowerPreference): Promise<GPUAdapter | null> {
  const adapter = await attempt(() => gpu.requestAdapter({ powerPreference }))?.catch(() => null);
  return adapter && adapter.info.device !== 'null-backend' ? adapter : null;
}

function sourceOf(info: GPUAdapterInfo): Source {
  if (info.architecture === 'swiftshader') return 'swiftshader';
  const isSoftware =
    info.isFallbackAdapter || /llvmpipe|lavapipe|Microsoft Basic Render/i.test(info.description);
  return isSoftware ? 'system-software' : 'hardware';
}

async function createSwiftshader(create: Create, tried: string[]): Promise<GPU | null> {
  const folder = await unpackSwiftshader();
  if (!folder) {
    tried.push('SwiftShader: @sparticuz/chromium is not installed, or this is not Linux on x64');
    return null;
  }
  const before = DRIVER_VARIABLES.map((name) => [name, process.env[name]] as const);
  for (const name of DRIVER_VARIABLES) process.env[name] = join(folder, 'vk_swiftshader_icd.json');
  try {
    preload(join(folder, 'libvulkan.so.1'));
    const gpu = create([]);
    const adapter = await usableAdapter(gpu, 'high-performance');
    if (adapter && sourceOf(adapter.info) === 'swiftshader') return gpu;
    tried.push(`SwiftShader: ${adapter ? `found ${adapter.info.description} instead` : 'no adapter'}`);
    return null;
  } finally {
    // The instance has its driver by now; a child process must not inherit ours.
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** Makes the Vulkan loader findable by name where the system has none: Dawn asks for `libvulkan.so.1` without a path. */
function preload(library: string): void {
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen;
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  } catch {
    // Always: it is no addon and does not self-register. It stays loaded all the same.
  }
}

function attempt<T>(make: () => T): T | null {
  try {
    return make();
  } catch {
    return null;
  }
}

function noAdapter(choice: Choice, tried: string[]): LloydError {
  const cures = {
    auto:
      process.platform === 'linux'
        ? 'install a Vulkan driver (Debian: mesa-vulkan-drivers 24 or newer), or run: npm install @sparticuz/chromium'
        : "install the graphics card's driver",
    system: 'install mesa-vulkan-drivers 24 or newer, or use adapter auto',
    swiftshader: 'run on Linux x64: npm install @sparticuz/chromium, or use adapter auto',
  };
  return new LloydError(
    `a WebGPU adapter (${choice}) is needed`,
    `none; tried ${tried.join('; ')}`,
    cures[choice],
  );
}
