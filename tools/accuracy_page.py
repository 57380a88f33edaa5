def text(known):
    return ""
