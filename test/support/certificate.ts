/** Certificates for servers on loopback and for their clients, and the authorities that vouch for them; all live as long as the process. */

/** PEM texts: what a side of a connection shows, and with what it proves that. */
export interface Pair {
  readonly key: string;
  readonly certificate: string;
}

/** PEM texts: what the server presents, and what its clients must trust. */
export interface LoopbackCertificate extends Pair {
  readonly authority: string;
}

/** An authority of its own. What it issues is valid for a day. */
export interface Authority {
  /** PEM of its own certificate. */
  readonly certificate: string;
  /** For a server on 127.0.0.1 and localhost. */
  server(): Promise<Pair>;
  /** For a client of this DNS name. */
  client(name: string): Promise<Pair>;
}

/** Makes a fresh authority. */
export async function makeAuthority(): Promise<Authority> {
  // The library's container insists on the Reflect metadata API and then asks nothing of it for what we use.
  Object.assign(Reflect, { getMetadata: () => undefined, getOwnMetadata: () => undefined, defineMetadata: () => {} });
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  // An hour of grace: the clocks of a virtual machine and its host may differ.
  const notBefore = new Date(Date.now() - 3_600_000);
  const notAfter = new Date(Date.now() + 86_400_000);
  const keys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=rungate test authority',
    notBefore,
    notAfter,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const issue = async (
    subject: string,
    usage: string,
    names: ConstructorParameters<typeof x509.SubjectAlternativeNameExtension>[0],
  ): Promise<Pair> => {
    const own = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${subject}`,
      issuer: authority.subject,
      notBefore,
      notAfter,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [new x509.ExtendedKeyUsageExtension([usage]), new x509.SubjectAlternativeNameExtension(names)],
    });
    const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', own.privateKey));
    return { key: x509.PemConverter.encode(key, 'PRIVATE KEY'), certificate: certificate.toString('pem') };
  };
  return {
    certificate: authority.toString('pem'),
    server: () =>
      issue('127.0.0.1', x509.ExtendedKeyUsage.serverAuth, [
        { type: 'ip', value: '127.0.0.1' },
        { type: 'dns', value: 'localhost' },
      ]),
    client: (name) => issue(name, x509.ExtendedKeyUsage.clientAuth, [{ type: 'dns', value: name }]),
  };
}

/** Issues a fresh authority and, signed by it, a server certificate for 127.0.0.1 and localhost, valid for a day. */
export async function loopbackCertificate(): Promise<LoopbackCertificate> {
  const authority = await makeAuthority();
  return { ...(await authority.server()), authority: authority.certificate };
}
