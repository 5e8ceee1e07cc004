// An issuer of another make: node-oidc-provider on a free loopback port, until its input ends.
// Prints one line of JSON, its issuer identifier, once it serves.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [clientId, clientSecret] = process.argv.slice(2);

function makeKey(kind, options, members) {
  const { privateKey } = generateKeyPairSync(kind, options);
  return { ...privateKey.export({ format: "jwk" }), ...members };
}

// Among the keys are one without `alg`, which signs, one for encryption and one of another type.
const keys = [
  makeKey("rsa", { modulusLength: 2048 }, { kid: "signs", use: "sig" }),
  makeKey("rsa", { modulusLength: 2048 }, { kid: "encrypts", use: "enc", alg: "RSA-OAEP" }),
  makeKey("ec", { namedCurve: "P-256" }, { kid: "curve", use: "sig", alg: "ES256" }),
];

const configuration = {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  jwks: { keys },
  features: {
    devInteractions: { enabled: false },
    encryption: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: "orders:read orders:write",
        audience: resource,
        accessTokenTTL: 300,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: resource.endsWith("/curve") ? "ES256" : "RS256" } },
      }),
    },
  },
  formats: {
    customizers: {
      // For one resource the tokens are written as Keycloak writes them.
      jwt(ctx, token, jwt) {
        if (jwt.payload.aud.endsWith("/keycloak")) {
          const { client_id, ...payload } = jwt.payload;
          jwt.header = { typ: "JWT" };
          jwt.payload = { ...payload, azp: client_id, typ: "Bearer" };
        }
        return jwt;
      },
    },
  },
};

const server = createServer((request, response) => serve(request, response));
let serve;
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  serve = new Provider(issuer, configuration).callback();
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume().on("end", () => process.exit(0));
