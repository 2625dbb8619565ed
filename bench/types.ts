import type { TensorCores } from '../src/conv/tensor-tile.ts';
import type { Runtime } from '../src/gpu/runtime.ts';
import type { ImageModel } from '../src/model/graph.ts';
import type { TuneOptions } from '../src/run/tune.ts';
import type { Speedup, Timed, Timing } from './timing.ts';

/** Which of the cases run and how large they are: `tiny` for tests, `gpu` for a graphics card's report. */
export type Size = 'tiny' | 'quick' | 'standard' | 'gpu';

export type Implementation =
  | 'lloyd'
  /** An older build of it; `--against`. */
  | 'lloyd-before'
  | 'tfjs-webgpu'
  | 'ort-webgpu'
  | 'tfjs-wasm'
  | 'ort-cpu'
  | 'ml-kmeans'
  | 'skmeans';

/** What the adapter does at best, measured on it; a case's share of the one it is bound by is its `ceilingShare`. */
export interface Ceilings {
  f32GFlops: number;
  int8Gops: number;
  copyGBps: number;
}

/** How many times as fast as another an entry ran, taken round by round. */
export interface Ratio extends Speedup {
  implementation: Implementation;
  precision: string;
}

/** One line of a results file. */
export interface Entry extends Timing {
  name: string;
  implementation: Implementation;
  /** fp32, kmeans-4, int8, int4, ...; a ratio is taken between two entries of equal name and batch. */
  precision: string;
  batch: number;
  /** Whole runs by the host's clock, transfers included, or the GPU's own timestamps around the dispatches. */
  clock: 'wall' | 'timestamp';
  throughput: { value: number; unit: string };
  /** Null where no ceiling applies, as for peers that do not run on the adapter. */
  ceilingShare: number | null;
  /** Of an entry of ours: beside everybody who was timed in turn with it. */
  ratios?: Ratio[];
  /** SHA-256 of the integer output: the same on every adapter, in every run. */
  hash?: string;
  /** What a reader has to know to compare this line with another. */
  note?: string;
}

/** A case that gave no number, and why. */
export interface Refusal {
  name: string;
  implementation: Implementation;
  precision: string;
  batch: number;
  reason: string;
  /** The adapter has no means for it: no failure. */
  unavailable?: true;
}

/** What `lloyd bench --json` and `npm run bench:browser -- --json` write. */
export interface Results {
  adapter: string;
  driver: string;
  /** The card's own name, where the adapter gives one: one driver's cards share everything else. */
  device?: string;
  commit: string;
  date: string;
  /** Where it ran: node's or the browser's version. */
  platform: string;
  /** `cifar10-test`, or `seeded` random pixels where the data set is not on this machine. */
  images: 'cifar10-test' | 'seeded';
  ceilings: Ceilings;
  /** The least and the most that was measured of each while the cases ran: the machine's own unsteadiness. */
  ceilingRange?: Record<keyof Ceilings, [least: number, most: number]>;
  cases: Entry[];
  refused: Refusal[];
  /** What a run that did not end left. */
  interrupted?: true;
  /** Only in a report for tuning (`--gpu-report`). */
  gpu?: GpuDetails;
}

/** What `lloyd bench --gpu-report` adds. */
export interface GpuDetails {
  features: string[];
  limits: Record<string, number>;
  /** The int8 matrices that passed the self-check and what they do at best, or why there are none. */
  tensorCores: (TensorCores & { gops: number }) | { reason: string };
  /** Images a forward of the profiles. */
  batch: number;
  /** Every dispatch of a VGG forward, by precision. */
  profiles: Record<
    string,
    {
      layer: string;
      kernel: string;
      milliseconds: number;
      gops: number;
      workgroups: readonly number[];
      specialization: Readonly<Record<string, number | string>>;
    }[]
  >;
}

/** A build of the library and what whole models are run with by it. */
export interface Build extends Pick<typeof import('../src/index.ts'), 'quantizeModel' | 'compile'> {
  runtime: Runtime;
  model: ImageModel;
}

/** What cases are given: a runtime, and the model's data by whatever way the platform has. */
export interface BenchContext {
  runtime: Runtime;
  size: Size;
  /** How models and layers look for faster kernels; they take the library's own choice unless given. */
  tune?: TuneOptions;
  /** The trained VGG; the same object every time. */
  model(): Promise<ImageModel>;
  /** A runtime of its own on the same adapter, which has compiled nothing yet; the caller destroys it. */
  fresh(): Promise<Runtime>;
  /** An older build that runs whole models in place of this one. */
  build?(): Promise<Build>;
  /** NHWC pixels of the first `count` images. */
  images(count: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Something ready to be timed. */
export interface Opened extends Timed {
  /** What one run does, for throughput: `amount` of `unit` (in units, not giga-units). */
  work: { amount: number; unit: 'images/s' | 'GB/s' | 'GOP/s' | 'GFLOP/s' | 'Mweights/s' };
  /** Operations or bytes of one run, and the ceiling they count against. */
  bound?: { ceiling: keyof Ceilings; amount: number };
  /** What `gpuTime` reads; the wall clock unless given. */
  clock?: Entry['clock'];
  /** The integer output to hash. */
  output?(): Promise<ArrayBuffer | ArrayBufferView>;
  /** What the CPU twin makes of the same input, bit for bit: the tests hold `output` against it. */
  expected?(): ArrayBufferView;
  /** A float output and what the CPU twin makes of the same input in float64: the tests hold them together. */
  floats?(): Promise<{ actual: ArrayLike<number>; expected: ArrayLike<number> }>;
  /** The float output, for peers to be held against. */
  logits?(): Promise<Float32Array>;
  note?: string;
  close(): void | Promise<void>;
}

/** One implementation of a case at one precision. */
export interface Subject {
  implementation: Implementation;
  precision: string;
  batch: number;
  open(context: BenchContext): Promise<Opened>;
}

/** A case: one piece of work, done by one implementation or several. */
export interface BenchCase {
  /** Replayable: `lloyd bench '<name>'` runs it alone. */
  name: string;
  subjects: readonly Subject[];
  /** What peers need to build the same work. */
  peers?: PeerWork;
}

/** The works that peers can do, by the data that defines them. */
export type PeerWork =
  | { kind: 'vgg'; batches: readonly number[] }
  | { kind: 'training-step'; batch: number }
  | { kind: 'conv2d'; shape: ConvCase }
  | { kind: 'conv2d-gradient'; by: 'input' | 'filter'; shape: ConvCase }
  | { kind: 'kmeans'; layers: number; clusters: number; iterations: number };

/** A 3x3-like convolution with `same` padding and stride 1; names as in the case's own name. */
export interface ConvCase {
  N: number;
  H: number;
  C: number;
  O: number;
  K: number;
}
