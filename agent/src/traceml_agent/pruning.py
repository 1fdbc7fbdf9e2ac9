def prune(body, fields):  # stand-in until the branch `limits` is merged
    return body, []
