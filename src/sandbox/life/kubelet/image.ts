/**
 * Images. The sandbox has none and pulls none; an image's name alone decides what the kubelet says of it. Images of hosts
 * below the reserved domains `.test` and `.invalid` (`unpullable.test/app:1`) cannot be pulled, because nothing can ever
 * answer there (RFC 2606); every other image is said to be on the machine already.
 */

/** What can be said of an image before a container is made from it. */
export type ImageVerdict =
  | { readonly at: 'present' }
  | { readonly at: 'invalid'; readonly message: string }
  | { readonly at: 'unpullable'; readonly message: string };

/** https://github.com/distribution/reference: host, path, tag and digest. */
const reference =
  /^(?:[\w.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[a-z0-9]+:[a-f0-9]{32,})?$/i;

/** Judges an image's name in the words of the kubelet and its runtime. */
export function judgeImage(image: string): ImageVerdict {
  const wrong = wrongReference(image);
  if (wrong !== undefined) {
    const message = `Failed to apply default image tag ${JSON.stringify(image)}: couldn't parse image name ${JSON.stringify(image)}: ${wrong}`;
    return { at: 'invalid', message };
  }
  const [, host = '', name = ''] = /^([^/]*)\/(.*)$/.exec(image) ?? [];
  if (!/\.(?:test|invalid)(?::\d+)?$/.test(host)) return { at: 'present' };
  const tagged = /[:@]/.test(name) ? image : `${image}:latest`;
  const [, path = '', tag = 'latest'] = /^(.*?)[:@](.*)$/.exec(name) ?? [undefined, name, 'latest'];
  return {
    at: 'unpullable',
    message:
      `failed to pull and unpack image "${tagged}": failed to resolve reference "${tagged}": failed to do request: ` +
      `Head "https://${host}/v2/${path}/manifests/${tag}": dial tcp: lookup ${host.replace(/:.*/, '')}: no such host`,
  };
}

/** Is it the image that Tekton puts in place of a sidecar's in order to stop it? */
export function isNop(image: string): boolean {
  return /\/nop(?:-[0-9a-f]+)?(?:[:@].*)?$/.test(image);
}

function wrongReference(image: string): string | undefined {
  if (reference.test(image) && !/[A-Z]/.test(pathOf(image))) return undefined;
  if (!/[A-Z]/.test(pathOf(image))) return 'invalid reference format';
  const full = image.includes('/') ? image : `library/${image}`;
  return `invalid reference format: repository name (${full}) must be lowercase`;
}

/** An image's repository without its host, tag and digest. */
function pathOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const path = rest.length > 0 && /[.:]|^localhost$/.test(first) ? rest.join('/') : image;
  return path.replace(/[:@].*$/, '');
}
