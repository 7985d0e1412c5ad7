import { appMeta } from "encore.dev";
import { APIError, Gateway, type Header } from "encore.dev/api";
import { authHandler } from "encore.dev/auth";
import { secret } from "encore.dev/config";

import { findFault } from "./core/origin";
import { config } from "./settings";
import { createTokenCheck } from "./token";

const apiToken = secret("ApiToken");

const isToken = createTokenCheck(
  () => apiToken(),
  () => config().tokenFile,
);

/** Makes the token where there is none yet, so that whoever starts the platform can use it at once. */
export async function prepareToken(): Promise<void> {
  await isToken("");
}

interface AuthParams {
  authorization?: Header<"Authorization">;
  origin?: Header<"Origin">;
  fetchSite?: Header<"Sec-Fetch-Site">;
}

interface AuthData {
  userID: string;
}

/**
 * Who may use the API: whoever has the token. Pages of other origins may not even try, since the
 * browser would send their requests from the machine that the API trusts (design section 8).
 */
export const auth = authHandler<AuthParams, AuthData>(
  async ({ authorization, origin, fetchSite }) => {
    const allowed = [appMeta().apiBaseUrl, ...config().apiOrigins];
    const fault = findFault({ origin, fetchSite }, allowed);
    if (fault) throw APIError.permissionDenied(fault);
    const given = /^Bearer (\S+)$/.exec(authorization ?? "")?.[1];
    if (given === undefined) {
      throw APIError.unauthenticated('Expected the header "Authorization: Bearer <token>"');
    }
    if (!(await isToken(given))) {
      throw APIError.unauthenticated("The token is not the one of this platform");
    }
    return { userID: "operator" };
  },
);

export const gateway = new Gateway({ authHandler: auth });
