/**
 * Which files of a repository do not go into its artifact: patterns as `.gitignore` has them, and those that Flux leaves
 * out of every artifact. https://fluxcd.io/flux/components/source/gitrepositories/#ignore
 */

/** Answers whether the file at this path (`a/b.txt`) is left out. */
export type Ignore = (path: string) => boolean;

/** What Flux leaves out of every artifact unless a repository says otherwise. */
const always = [
  '.git/',
  '.gitignore',
  '.gitmodules',
  '.gitattributes',
  '*.jpg',
  '*.jpeg',
  '*.gif',
  '*.png',
  '*.wmv',
  '*.flv',
  '*.tar.gz',
  '*.zip',
  '.github/',
  '.circleci/',
  '.travis.yml',
  '.gitlab-ci.yml',
  'appveyor.yml',
  '.drone.yml',
  'cloudbuild.yaml',
  'codeship-services.yml',
  'codeship-steps.yml',
  '**/.goreleaser.yml',
  '**/.goreleaser.brew.yml',
  '**/.sops.yaml',
];

/** `sourceignore` is the repository's own `.sourceignore`, `ignore` the object's `spec.ignore`; the last match decides. */
export function compileIgnore(sourceignore: string, ignore: string): Ignore {
  const rules = [...always, ...sourceignore.split('\n'), ...ignore.split('\n')].flatMap(ruleOf);
  return (path) => {
    const folders = path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'));
    // A folder that is left out takes what is below it along, whatever later patterns say of that.
    return folders.some((folder, index) => isIgnored(folder, index < folders.length - 1, rules));
  };
}

interface Rule {
  readonly matches: RegExp;
  readonly isNegated: boolean;
  readonly isFolderOnly: boolean;
}

function isIgnored(path: string, isFolder: boolean, rules: readonly Rule[]): boolean {
  const last = rules.findLast(({ matches, isFolderOnly }) => (isFolder || !isFolderOnly) && matches.test(path));
  return last !== undefined && !last.isNegated;
}

/** https://git-scm.com/docs/gitignore#_pattern_format */
function ruleOf(line: string): Rule[] {
  const written = line.replace(/\r$/, '').replace(/(?<!\\)\s+$/, '');
  if (written === '' || written.startsWith('#')) return [];
  const isNegated = written.startsWith('!');
  const pattern = isNegated ? written.slice(1) : written.replace(/^\\(?=[#!])/, '');
  const isFolderOnly = pattern.endsWith('/');
  const body = isFolderOnly ? pattern.slice(0, -1) : pattern;
  const isAnchored = body.includes('/');
  const rooted = body.startsWith('/') ? body.slice(1) : body;
  const matches = new RegExp(`^${isAnchored ? '' : '(?:.*/)?'}${expressionOf(rooted)}$`);
  return [{ matches, isNegated, isFolderOnly }];
}

function expressionOf(glob: string): string {
  let expression = '';
  for (let place = 0; place < glob.length; place++) {
    const rest = glob.slice(place);
    const special = wildcards.find(([text]) => rest.startsWith(text));
    const characters = /^\[!?[^\]]+\]/.exec(rest)?.[0];
    if (special !== undefined) {
      expression += special[1];
      place += special[0].length - 1;
    } else if (characters !== undefined) {
      expression += characters.replace('[!', '[^');
      place += characters.length - 1;
    } else if (rest.startsWith('\\') && rest.length > 1) {
      expression += literal(rest.charAt(1));
      place += 1;
    } else {
      expression += literal(rest.charAt(0));
    }
  }
  return expression;
}

function literal(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
}

/** Longest first. */
const wildcards: readonly (readonly [string, string])[] = [
  ['/**/', '/(?:.*/)?'],
  ['**/', '(?:.*/)?'],
  ['/**', '/.*'],
  ['*', '[^/]*'],
  ['?', '[^/]'],
];
