import type { Command } from './command.ts';
import { CONSTANT, PICTURE_OPTIONS, SHAPE, sampleOptions } from './sample-options.ts';

const IMAGES = [
  '--images <n>',
  "Test images, or 'all'",
  'about 100 seconds of them on a software adapter, all on a GPU',
] as const;
const BATCH = ['--batch <n>', 'Images a forward pass', '32'] as const;
const WEIGHTS = [
  '--weights <file>',
  "VGG weights: .safetensors, or the lab's .pth",
  "the clone's own",
] as const;
const REQUANTIZE = [
  '--requantize <rule>',
  'How int32 becomes int8: ort-f32, onnx-ref, tflite-double, tflite-single, xnn-rndnu, lab',
  'ort-f32',
] as const;

const CODE_TYPES = [
  ['--activation-type <name>', 'Codes of activations in qdq and qoperator: int8 or uint8', 'int8'],
  [
    '--weight-type <name>',
    'Codes of 8-bit weights there: int8, or uint8, exact in ONNX Runtime on x86 without VNNI too (int4 stays)',
    'int8',
  ],
] as const;

const TUNE = [
  '--tune <ms>',
  'Spend up to <ms> a network on measuring which kernels are fastest here; what was found is remembered',
  "the library's own choice",
] as const;

/** Every subcommand, in the order of `lloyd --help`. */
export const commands: readonly Command[] = [
  {
    usage: 'compare [...shards]',
    description: 'Compare a VGG on CIFAR-10 at fp32, k-means 8/4/2 bit and linear 8/4/2 bit',
    options: [
      [
        '--images <n>',
        "Test images, or 'all'",
        'as there is time for in two minutes on a software adapter, else all',
      ],
      [
        '--rows <names>',
        'Only these rows (fp32 always runs): kmeans-4,linear-8,...',
        'all, or those there is time for',
      ],
      BATCH,
      REQUANTIZE,
      TUNE,
      WEIGHTS,
      [
        '--resume <file>',
        'Go on with what an interrupted run left in its --json file, by its settings; into that file again, or --json',
      ],
      [
        '--shard <i/n>',
        'Only the i-th of n equal parts of the test images (of all, unless --images is less)',
      ],
      ['--merge <file>', "The table of all n parts: 'lloyd compare --merge 1.json 2.json --json ALL.json'"],
    ],
    jsonFallback: 'resume',
    examples: [
      'lloyd compare',
      'lloyd compare --images 1000 --rows kmeans-4,linear-8 --json compare.json',
      'lloyd compare --weights vgg.cifar.pretrained.pth',
      'lloyd compare --images all --json all.json',
      'lloyd compare --resume all.json',
      'lloyd compare --shard 1/2 --json 1.json',
      'lloyd compare --merge 1.json 2.json --json all.json',
    ],
    load: () => import('./compare.ts'),
  },
  {
    usage: 'quantize <input>',
    description:
      'Quantize any network (.onnx, .safetensors, a VGG of .pth) to packed codes with their codebooks or scales',
    options: [
      ['-o, --out <file>', 'The file to write: .onnx, else safetensors (required)'],
      ['--format <name>', 'Of an ONNX file: qdq, qoperator (linear) or codebook (kmeans)', 'qdq or codebook'],
      ...CODE_TYPES,
      ['--method <name>', 'kmeans or linear', 'linear with calibration, else kmeans'],
      ['--bits <n>', '1 to 8 (linear: 2 to 8)', '4 of kmeans, 8 of linear'],
      [
        '--layers <plan>',
        "Bits of single layers, or of an operator's: 'backbone.conv0=8,Gemm=8'; * stands for any letters, 32 is fp32",
      ],
      ['--exclude <names>', "Layers, patterns or operators that stay fp32: 'classifier,Gemm'"],
      [
        '--per-channel',
        'A scale, or a codebook, for each output channel: what linear does unless told otherwise',
      ],
      ['--no-per-channel', 'One for each layer: what kmeans does unless told otherwise'],
      ['--init <name>', 'k-means start: linear, quantile, random, kmeans++ or optimal', 'optimal'],
      ['--seed <n>', 'Seed of random and kmeans++', '0'],
      REQUANTIZE,
      [
        '--calibration-method <name>',
        'Ranges of activations: minmax, moving-average, percentile, mse or entropy (linear)',
        'minmax',
      ],
      ['--percentile <n>', 'How many percent of the values --calibration-method percentile keeps', '99.999'],
      ...sampleOptions(256),
    ],
    examples: [
      'lloyd quantize model.onnx --calibration photos --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 -o model.int8.onnx',
      'lloyd quantize model.onnx --calibration photos --calibration-method percentile --percentile 99.99 -o model.int8.onnx',
      'lloyd quantize bert.onnx --calibration inputs.npz --exclude Gemm --format qoperator -o bert.int8.onnx',
      'lloyd quantize weights/vgg-cifar10.safetensors --method kmeans --bits 4 -o vgg-kmeans4.safetensors',
      "lloyd quantize vgg.safetensors --method linear --bits 4 --layers 'backbone.conv0=8' -o vgg-w4.safetensors",
    ],
    load: () => import('./quantize.ts'),
  },
  {
    usage: 'check <model>',
    description:
      "What of a network runs here, in which dtype, and each layer's error once quantized; fails below --min-sqnr",
    options: [
      ['--against <file>', 'The same network quantized', 'linear 8 bit, made by the same samples'],
      ['--min-sqnr <db>', 'Least SQNR of every output, and of every layer by itself: exits with 1 below it'],
      ...sampleOptions(32),
    ],
    examples: [
      'lloyd check model.onnx',
      'lloyd check model.onnx --against model.int8.onnx --calibration photos --min-sqnr 20 --json check.json',
      'lloyd check model.onnx --calibration inputs.npz --samples 8',
    ],
    load: () => import('./check.ts'),
  },
  {
    usage: 'convert <input>',
    description: 'Write a network in another format: QDQ, operators on codes, gathered codebooks, floats',
    options: [
      ['-o, --out <file>', 'The file to write: .safetensors, else ONNX (required)'],
      ['--format <name>', 'Of an ONNX file: qdq, qoperator, codebook or float', 'what the network is'],
      CONSTANT,
      ...CODE_TYPES,
    ],
    examples: [
      'lloyd convert model.qdq.onnx --format qoperator -o model.qoperator.onnx',
      'lloyd convert model.qoperator.onnx --format qdq -o model.qdq.onnx',
      'lloyd convert model.int8.onnx --activation-type uint8 --weight-type uint8 -o model.uint8.onnx',
      'lloyd convert vgg-kmeans4.safetensors --format float -o vgg.onnx',
    ],
    load: () => import('./convert.ts'),
  },
  {
    usage: 'evaluate <file>',
    description: 'Accuracy and speed of a VGG on CIFAR-10, or of any network on a folder of pictures',
    options: [
      IMAGES,
      BATCH,
      [
        '--data <folder>',
        'PNG or JPEG pictures in a folder a class, whose sorted names are the classes',
        'CIFAR-10',
      ],
      ...PICTURE_OPTIONS,
      SHAPE,
      CONSTANT,
    ],
    examples: [
      'lloyd evaluate vgg-kmeans4.safetensors',
      'lloyd evaluate vgg.safetensors --images all',
      'lloyd evaluate model.int8.onnx --data validation --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225',
    ],
    load: () => import('./evaluate.ts'),
  },
  {
    usage: 'train',
    description: 'Train a VGG on CIFAR-10 from scratch, on this adapter',
    options: [
      [
        '-o, --out <file>',
        'The safetensors file to write; its checkpoint lies beside it',
        'vgg-trained.safetensors',
      ],
      ['--epochs <n>', 'Passes over the images', '14'],
      ['--steps <n>', 'Steps, instead of epochs'],
      ['--batch <n>', 'Images a step', '250'],
      ['--lr <rate>', 'The learning rate at its highest', '0.1'],
      ['--schedule <name>', 'cosine, one-cycle, constant or lab (it swings, as the notebook does)', 'cosine'],
      [
        '--average <decay>',
        'Keep a moving average of the parameters as the result (0.999 for long runs)',
        '0',
      ],
      ['--seed <n>', 'Seed of the first weights, the order and the augmentation', '0'],
      ['--width-divisor <n>', 'Divides every channel count: 8 trains in minutes on a software adapter', '1'],
      ['--images <n>', 'Training images', 'all'],
      ['--resume <file>', 'A checkpoint to go on from, with the same settings'],
    ],
    examples: [
      'lloyd train -o vgg.safetensors',
      'lloyd train --width-divisor 8 --images 1000 --epochs 5 --batch 25',
    ],
    load: () => import('./train.ts'),
  },
  {
    usage: 'finetune',
    description: 'Quantize a VGG and train it on at that precision (QAT)',
    options: [
      ['--method <name>', 'kmeans or linear', 'kmeans'],
      ['--bits <n>', '1 to 8 (linear: 2 to 8); several with --within', '2'],
      ['--steps <n>', 'Steps', '200'],
      ['--epochs <n>', 'Passes over the images, instead of steps'],
      ['--batch <n>', 'Images a step', '32'],
      ['--lr <rate>', 'The learning rate at its highest', '0.01, linear 0.002'],
      ['--schedule <name>', 'cosine, one-cycle, constant or lab (it swings, as the notebook does)', 'cosine'],
      [
        '--average <decay>',
        'Keep a moving average of the parameters as the result (0.999 for long runs)',
        '0',
      ],
      ['--seed <n>', 'Seed of the order and the augmentation', '0'],
      [
        '--centroids <rule>',
        "mean (the lab's rule), gradient (Deep Compression: summed, wants a far lower --lr) or mean-gradient; k-means",
        'mean',
      ],
      ['--reassign <n>', 'Move weights to their nearest centroid every n steps (--centroids mean)', '0'],
      ['--reestimate <n>', 'Estimate batch norm again over n training images at the end; k-means', '0'],
      [
        '--within <points>',
        'Train each width only until it is that near fp32, as the lab does with 0.5; k-means',
      ],
      ['--held <n>', 'Test images that --within measures accuracy on', '1000'],
      ['--observe <momentum>', 'Move the activations’ ranges as they train (0.01); linear', '0'],
      ['--learned-step', 'Train the step sizes too (LSQ); linear'],
      ['--teacher <file>', 'An fp32 network whose logits are learned from (distillation)'],
      ['--teacher-share <part>', "Of the loss from the teacher's logits; the rest is from the labels", '1'],
      ['--temperature <t>', "What both networks' logits are divided by", '4'],
      ['--calibration <n>', 'Training images that fix the activation ranges (linear)', '256'],
      ['--images <n>', 'Training images', 'all'],
      [
        '-o, --out <file>',
        'The safetensors file to write',
        "beside the weights, where 'lloyd compare' finds it",
      ],
      ['--resume <file>', 'A checkpoint to go on from, with the same settings'],
      WEIGHTS,
    ],
    examples: [
      'lloyd finetune --method kmeans --bits 2',
      'lloyd finetune --bits 8,4,2 --within 0.5 --epochs 5',
      'lloyd finetune --method linear --bits 4 --steps 400 -o vgg-linear4-qat.safetensors',
    ],
    load: () => import('./finetune.ts'),
  },
  {
    usage: 'reproduce',
    description:
      'Train the VGG, fine-tune it at every width and compare them; the same command goes on after a stop',
    options: [
      ['--out <folder>', 'Networks, checkpoints and training logs; created if missing', 'reproduction'],
      ['--epochs <n>', 'Passes of the fp32 training; fine-tuning takes 1 to 5', '30'],
      ['--batch <n>', 'Images a step', '250'],
      ['--seed <n>', 'Seed of the first weights, the orders and the augmentation', '0'],
      ['--width-divisor <n>', 'Divides every channel count: 8 trains in minutes on a software adapter', '1'],
      ['--images <n>', 'Training images', 'all'],
      ['--test-images <n>', 'Test images of the comparison', 'all'],
    ],
    examples: [
      'lloyd reproduce --out reproduction --json table.json',
      'lloyd reproduce --out small --width-divisor 8 --images 1000 --epochs 5 --batch 25 --test-images 1000',
    ],
    load: () => import('./reproduce.ts'),
  },
  {
    usage: 'lab',
    description: "Reproduce MIT 6.5940's quantization lab step by step, measured beside published",
    options: [['--out <folder>', 'Write report.md with SVG pictures there'], IMAGES, WEIGHTS],
    examples: ['lloyd lab', 'lloyd lab --out lab-report --images 1000'],
    load: () => import('./lab.ts'),
  },
  {
    usage: 'conformance',
    description: 'Run the ONNX operators against their CPU twins by every requantization rule',
    options: [['--quick', 'About a tenth of the cases']],
    examples: [
      'lloyd conformance --quick',
      'lloyd conformance --adapter swiftshader --json swiftshader.json',
    ],
    load: () => import('./conformance.ts'),
  },
  {
    usage: 'bench [filter]',
    description: 'Time the kernels and the VGG on this adapter, beside other libraries on request',
    options: [
      ['--peers', 'Also time tfjs, ONNX Runtime and k-means libraries on the same work (dev installs only)'],
      ['--quick', 'A short set'],
      ['--rounds <n>', 'Time everything at least that often', 'what a second or two takes, 3 to 50'],
      TUNE,
      ['--compare <file>', "What moved since: 'lloyd bench --compare BEFORE.json AFTER.json'"],
      ['--against <dist>', "A stored build's dist folder, timed in turn with this one on vgg-forward"],
      ['--gpu-report', "Every case at a graphics card's sizes, with per-layer profiles, into bench/results"],
      ['--small', 'With --gpu-report: the same steps at the smallest sizes, to try them anywhere'],
    ],
    examples: [
      'lloyd bench --quick',
      'lloyd bench vgg-forward --peers --json bench.json',
      "lloyd bench 'vgg-forward int8 batch=32'",
      'lloyd bench --compare before.json after.json',
      'lloyd bench vgg-forward --against ../before/dist',
    ],
    load: () => import('./bench.ts'),
  },
  {
    usage: 'info',
    description: 'The adapter, its features and limits; with --plan, the dispatches of a compiled model',
    options: [
      [
        '--plan <what>',
        "A network's file, or MODEL/PRECISION: 'vgg/fp32', 'vgg/kmeans-4', 'vgg/linear-8', ...",
      ],
      BATCH,
      SHAPE,
      CONSTANT,
      WEIGHTS,
    ],
    examples: [
      'lloyd info',
      'lloyd info --plan vgg/linear-8',
      'lloyd info --plan model.int8.onnx --batch 1',
      'LLOYD_ADAPTER=swiftshader lloyd info',
    ],
    load: () => import('./info.ts'),
  },
];
